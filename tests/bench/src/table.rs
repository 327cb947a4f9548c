//! The functions' table: an embedded DynamoDB behind its HTTP API, with the keys and indexes of the deployed one.

use std::net::SocketAddr;

use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Result;
use crate::net::listen;

pub const TABLE: &str = "axle-bench";

const LISTING_COLUMNS: [&str; 10] =
    ["type", "id", "q", "status", "tier", "owner", "company_id", "contact_id", "expires_at", "entity_id"];
const DUE_COLUMNS: [&str; 4] = ["type", "id", "entity_id", "status"];

pub struct Table {
    database: Database,
    address: SocketAddr,
    server: JoinHandle<()>,
    stream_arn: String,
    next_records: String,
}

impl Table {
    pub fn start() -> Result<Self> {
        let database = Database::memory()?;
        database.create_table(request(definition())?)?;
        let (listener, address) = listen()?;
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));

        let (stream_arn, next_records) = open_stream(&database)?;
        Ok(Self { database, address, server, stream_arn, next_records })
    }

    /// Stops the recording of changes: the embedded table looks through all records at every write, so that with it on an import
    /// takes time by the square of its rows.
    pub fn pause_stream(&self) -> Result<()> {
        self.set_stream(json!({"StreamEnabled": false}))
    }

    /// Goes on recording. What was read already is not handed out again.
    pub fn resume_stream(&mut self) -> Result<()> {
        self.set_stream(stream_specification())?;
        (self.stream_arn, self.next_records) = open_stream(&self.database)?;
        self.new_records().map(drop)
    }

    fn set_stream(&self, specification: Value) -> Result<()> {
        self.database.update_table(request(json!({"TableName": TABLE, "StreamSpecification": specification}))?)?;
        Ok(())
    }

    /// Puts items in DynamoDB's JSON, at most 25.
    pub fn put_all(&self, items: Vec<Value>) -> Result<()> {
        let puts: Vec<Value> = items.into_iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
        self.database.batch_write_item(request(json!({"RequestItems": {TABLE: puts}}))?)?;
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The stream's records since the last call, as the deployed event source hands them over: only those that its filter
    /// lets through (inserted events, and inserted items that carry a job).
    pub fn new_records(&mut self) -> Result<Vec<Value>> {
        let mut wanted = Vec::new();
        loop {
            let batch = self.database.get_records(request(json!({"ShardIterator": self.next_records}))?)?;
            if batch.records.is_empty() {
                return Ok(wanted);
            }
            for record in &batch.records {
                let mut record = serde_json::to_value(record)?;
                if passes_filter(&record) {
                    record["eventSourceARN"] = json!(self.stream_arn);
                    wanted.push(record);
                }
            }
            self.next_records = batch.next_shard_iterator.ok_or("the table's stream has ended")?;
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The stream's name and an iterator at its beginning.
fn open_stream(database: &Database) -> Result<(String, String)> {
    let streams = serde_json::to_value(database.list_streams(request(json!({"TableName": TABLE}))?)?)?;
    let stream_arn = text(&streams["Streams"][0]["StreamArn"])?;
    let stream = database.describe_stream(request(json!({"StreamArn": stream_arn}))?)?;
    let stream = serde_json::to_value(stream)?;
    let iterator = database.get_shard_iterator(request(json!({
        "StreamArn": stream_arn,
        "ShardId": stream["StreamDescription"]["Shards"][0]["ShardId"],
        "ShardIteratorType": "TRIM_HORIZON",
    }))?)?;
    Ok((stream_arn, iterator.shard_iterator.ok_or("the table's stream has no iterator")?))
}

fn stream_specification() -> Value {
    json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"})
}

fn passes_filter(record: &Value) -> bool {
    let image = &record["dynamodb"]["NewImage"];
    record["eventName"] == "INSERT" && (image["type"]["S"] == "event" || !image["job"].is_null())
}

fn definition() -> Value {
    let names = ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk", "gsi3pk", "gsi3sk"];
    let attributes: Vec<Value> = names.iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect();
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            index("gsi1", &LISTING_COLUMNS), index("gsi2", &LISTING_COLUMNS), index("gsi3", &DUE_COLUMNS),
        ],
        "StreamSpecification": stream_specification(),
    })
}

fn index(name: &str, columns: &[&str]) -> Value {
    json!({
        "IndexName": name,
        "KeySchema": keys(&format!("{name}pk"), &format!("{name}sk")),
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": columns},
    })
}

fn keys(hash: &str, range: &str) -> Value {
    json!([{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": range, "KeyType": "RANGE"}])
}

fn request<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().ok_or("the table has no stream")?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn put(table: &Table, item: Value) {
        table.database.put_item(request(json!({"TableName": TABLE, "Item": item})).unwrap()).unwrap();
    }

    #[tokio::test]
    async fn hands_over_inserted_events_and_jobs_once() {
        let mut table = Table::start().unwrap();
        put(&table, json!({"pk": {"S": "a"}, "sk": {"S": "1"}, "type": {"S": "event"}, "body": {"S": "{}"}}));
        put(&table, json!({"pk": {"S": "a"}, "sk": {"S": "2"}, "type": {"S": "lead"}}));
        put(&table, json!({"pk": {"S": "a"}, "sk": {"S": "3"}, "type": {"S": "import"}, "job": {"S": "import"}}));
        put(&table, json!({"pk": {"S": "a"}, "sk": {"S": "1"}, "type": {"S": "event"}, "body": {"S": "changed"}}));
        let records = table.new_records().unwrap();
        let keys: Vec<_> = records.iter().map(|record| record["dynamodb"]["Keys"]["sk"]["S"].clone()).collect();
        assert_eq!(keys, ["1", "3"]);
        assert!(records[0]["eventSourceARN"].is_string());
        assert!(table.new_records().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_paused_stream_records_nothing_and_goes_on() {
        let mut table = Table::start().unwrap();
        let event = |sk: &str| json!({"pk": {"S": "a"}, "sk": {"S": sk}, "type": {"S": "event"}, "body": {"S": "{}"}});
        put(&table, event("1"));
        table.pause_stream().unwrap();
        put(&table, event("2"));
        table.resume_stream().unwrap();
        put(&table, event("3"));
        let records = table.new_records().unwrap();
        let keys: Vec<_> = records.iter().map(|record| record["dynamodb"]["Keys"]["sk"]["S"].clone()).collect();
        assert_eq!(keys, ["3"]);
    }
}
