//! One line of the log with its metrics.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::metric::By;
use crate::{About, Counts, Metric, NAMESPACE};

/// Values of one metric in one line; the specification's limit.
const MAX_VALUES: usize = 100;

/// A line about one invocation: a message, properties to search for, and metrics.
///
/// Properties may be as many-valued as they like, as they are not dimensions: ids go here. Nothing personal does.
#[derive(Debug)]
pub struct Line<'a> {
    message: &'static str,
    /// Values of the dimensions that not every line has.
    queue: Option<&'a str>,
    rate_class: Option<&'a str>,
    metrics: Vec<(Metric, Vec<f64>)>,
    properties: Vec<(&'static str, Property<'a>)>,
}

#[derive(Debug)]
enum Property<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> Line<'a> {
    pub fn new(message: &'static str) -> Self {
        Self { message, queue: None, rate_class: None, metrics: Vec::with_capacity(5), properties: Vec::with_capacity(8) }
    }

    /// The queue that the line is about.
    #[must_use]
    pub fn queue(mut self, name: &'a str) -> Self {
        self.queue = Some(name);
        self
    }

    /// The rate class that the line is about.
    #[must_use]
    pub fn rate_class(mut self, name: &'a str) -> Self {
        self.rate_class = Some(name);
        self
    }

    #[must_use]
    pub fn text(mut self, name: &'static str, value: &'a str) -> Self {
        self.properties.push((name, Property::Text(value)));
        self
    }

    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Self {
        self.properties.push((name, Property::Number(value)));
        self
    }

    /// Adds a value of a metric, beside those that it has already.
    pub fn add(&mut self, metric: Metric, value: f64) {
        // A dimension without a value would make CloudWatch drop the line's metrics.
        let known = match metric.by {
            By::Queue => self.queue.is_some(),
            By::RateClass => self.rate_class.is_some(),
            By::Stack | By::Function => true,
        };
        if !known || !value.is_finite() {
            return;
        }
        match self.metrics.iter_mut().find(|(there, _)| *there == metric) {
            Some((_, values)) => values.push(value),
            None => self.metrics.push((metric, vec![value])),
        }
    }

    /// Adds what a message came to.
    pub fn count(&mut self, counts: &Counts) {
        counts.0.iter().for_each(|(metric, value)| self.add(*metric, *value));
    }

    /// As JSON, with a line's end: several lines if a metric has more values than one may hold.
    pub fn json(&self, about: &About, now_ms: u64) -> String {
        let longest = self.metrics.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let mut text = String::with_capacity(768);
        for part in 0..longest.div_ceil(MAX_VALUES).max(1) {
            let line = Part { line: self, about, now_ms, from: part * MAX_VALUES };
            // A map of texts and finite numbers always has a JSON form.
            text += &serde_json::to_string(&line).unwrap_or_default();
            text.push('\n');
        }
        text
    }
}

/// What one line of the log holds of it.
struct Part<'a> {
    line: &'a Line<'a>,
    about: &'a About,
    now_ms: u64,
    from: usize,
}

impl Part<'_> {
    fn metrics(&self) -> impl Iterator<Item = (&Metric, &[f64])> {
        let of = |values: &'_ [f64]| -> std::ops::Range<usize> {
            let from = self.from.min(values.len());
            from..(self.from + MAX_VALUES).min(values.len())
        };
        self.line
            .metrics
            .iter()
            .map(move |(metric, values)| (metric, &values[of(values)]))
            .filter(|(_, values)| !values.is_empty())
    }

    fn by(&self, by: By) -> impl Iterator<Item = &Metric> {
        self.metrics().filter(move |(metric, _)| metric.by == by).map(|(metric, _)| metric)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("level", "INFO")?;
        map.serialize_entry("message", self.line.message)?;
        if self.metrics().next().is_some() {
            map.serialize_entry("_aws", &Metadata(self))?;
        }
        map.serialize_entry("Stack", &self.about.stack)?;
        map.serialize_entry("Function", &self.about.function)?;
        if let Some(queue) = self.line.queue {
            map.serialize_entry("QueueName", queue)?;
        }
        if let Some(class) = self.line.rate_class {
            map.serialize_entry("RateClass", class)?;
        }
        for (metric, values) in self.metrics() {
            match values {
                [one] => map.serialize_entry(metric.name, one)?,
                many => map.serialize_entry(metric.name, many)?,
            }
        }
        for (name, value) in &self.line.properties {
            match value {
                Property::Text(text) => map.serialize_entry(name, text)?,
                Property::Number(number) => map.serialize_entry(name, number)?,
            }
        }
        map.end()
    }
}

/// `_aws`: which of the members are metrics.
struct Metadata<'a>(&'a Part<'a>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("Timestamp", &self.0.now_ms)?;
        let with_any = By::ALL.into_iter().filter(|by| self.0.by(*by).next().is_some());
        let directives: Vec<Directive<'_>> = with_any.map(|by| Directive { part: self.0, by }).collect();
        map.serialize_entry("CloudWatchMetrics", &directives)?;
        map.end()
    }
}

struct Directive<'a> {
    part: &'a Part<'a>,
    by: By,
}

impl Serialize for Directive<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("Namespace", NAMESPACE)?;
        map.serialize_entry("Dimensions", &[self.by.dimensions()])?;
        let metrics: Vec<Definition> = self.part.by(self.by).map(|metric| Definition(*metric)).collect();
        map.serialize_entry("Metrics", &metrics)?;
        map.end()
    }
}

struct Definition(Metric);

impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("Name", self.0.name)?;
        map.serialize_entry("Unit", self.0.unit.name())?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::metric;

    const NOW: u64 = 1_795_509_030_123;

    fn about() -> About {
        About::of("axle-local-leads", "axle-local")
    }

    fn written(line: &Line<'_>) -> Vec<Value> {
        let text = line.json(&about(), NOW);
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the specification demands of a line: every metric and dimension that is named is there, in its form.
    fn check(line: &Value) {
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert!(line["_aws"]["Timestamp"].is_u64() && !directives.is_empty());
        for directive in directives {
            assert!((1..=256).contains(&directive["Namespace"].as_str().unwrap().len()));
            for set in directive["Dimensions"].as_array().unwrap() {
                let names = set.as_array().unwrap();
                assert!(names.len() <= 30 && names.iter().all(|name| line[name.as_str().unwrap()].is_string()), "{line}");
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let value = &line[metric["Name"].as_str().unwrap()];
                let numbers = value.as_array().map_or(vec![value], |values| values.iter().collect());
                assert!((1..=100).contains(&numbers.len()) && numbers.iter().all(|n| n.is_number()), "{line}");
                assert!(matches!(metric["Unit"].as_str(), Some("Count" | "Milliseconds")));
            }
        }
    }

    #[test]
    fn a_request() {
        let mut line = Line::new("request").rate_class("leads").text("route", "/leads/{id}").number("status", 429);
        line.add(metric::REQUESTS, 1.0);
        line.add(metric::DURATION, 12.25);
        line.add(metric::THROTTLES, 1.0);
        let lines = written(&line);
        check(&lines[0]);
        assert_eq!(
            lines,
            [json!({
                "level": "INFO", "message": "request",
                "_aws": {"Timestamp": NOW, "CloudWatchMetrics": [
                    {"Namespace": "Axle", "Dimensions": [["Stack", "Function"]], "Metrics": [
                        {"Name": "Requests", "Unit": "Count"}, {"Name": "Duration", "Unit": "Milliseconds"}]},
                    {"Namespace": "Axle", "Dimensions": [["Stack", "RateClass"]], "Metrics": [{"Name": "Throttles", "Unit": "Count"}]},
                ]},
                "Stack": "axle-local", "Function": "leads", "RateClass": "leads",
                "Requests": 1.0, "Duration": 12.25, "Throttles": 1.0, "route": "/leads/{id}", "status": 429,
            })]
        );
    }

    #[test]
    fn the_values_of_a_batch_stand_side_by_side() {
        let mut line = Line::new("batch").queue("axle-DeliverQueue-1");
        for (age, failed) in [(5.0, 0), (7.0, 1), (2_000.0, 0)] {
            line.add(metric::QUEUE_AGE, age);
            line.count(&Counts::none().with(metric::WEBHOOK_FAILED, failed).with_any(metric::WEBHOOK_DEAD, failed));
        }
        let lines = written(&line);
        check(&lines[0]);
        assert_eq!(lines[0]["QueueAge"], json!([5.0, 7.0, 2000.0]));
        assert_eq!((&lines[0]["WebhookFailed"], &lines[0]["WebhookDead"]), (&json!([0.0, 1.0, 0.0]), &json!(1.0)));
    }

    #[test]
    fn more_values_than_a_line_may_hold_make_more_lines_and_none_is_lost_or_doubled() {
        let mut line = Line::new("batch");
        (0..250).for_each(|age| line.add(metric::STREAM_AGE, f64::from(age)));
        line.add(metric::ROWS_CREATED, 3.0);
        let lines = written(&line);
        lines.iter().for_each(check);
        let sizes: Vec<usize> = lines.iter().map(|line| line["StreamAge"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let all: Vec<f64> =
            lines.iter().flat_map(|line| line["StreamAge"].as_array().unwrap()).map(|n| n.as_f64().unwrap()).collect();
        assert_eq!(all, (0..250).map(f64::from).collect::<Vec<_>>());
        assert_eq!(lines.iter().filter(|line| line.get("RowsCreated").is_some()).count(), 1);
    }

    #[test]
    fn what_cloudwatch_would_refuse_is_left_out() {
        let mut line = Line::new("batch");
        line.add(metric::QUEUE_AGE, 5.0);
        line.add(metric::THROTTLES, 1.0);
        line.add(metric::DURATION, f64::NAN);
        let lines = written(&line);
        assert!(lines.len() == 1 && lines[0].get("_aws").is_none() && lines[0].get("QueueAge").is_none(), "{lines:?}");
    }

    #[test]
    fn a_function_is_known_by_its_own_name() {
        assert_eq!(about(), About { stack: "axle-local".to_owned(), function: "leads".to_owned() });
        assert_eq!(About::of("other", "axle").function, "other");
        assert_eq!(About::of("axleleads", "axle").function, "axleleads");
    }
}
