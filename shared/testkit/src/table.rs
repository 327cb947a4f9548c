//! An embedded DynamoDB with the keys and indexes of the deployed table.

use std::net::SocketAddr;
use std::sync::Mutex;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use base64::Engine;
use dynoxide::Database;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// One table of its own, gone when it is dropped.
pub struct TestTable {
    database: Database,
    address: SocketAddr,
    server: JoinHandle<()>,
    next_records: Mutex<String>,
    next_changes: Mutex<String>,
}

/// The projections of the template.
const LISTING: [&str; 10] = ["type", "id", "q", "status", "tier", "owner", "company_id", "contact_id", "expires_at", "entity_id"];
const DUE: [&str; 4] = ["type", "id", "entity_id", "status"];

fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a request has its type's form")
}

fn definition() -> Value {
    let names = ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk", "gsi3pk", "gsi3sk"];
    let attributes: Vec<Value> = names.iter().map(|n| json!({"AttributeName": n, "AttributeType": "S"})).collect();
    let keys = |prefix: &str| json!([{"AttributeName": format!("{prefix}pk"), "KeyType": "HASH"}, {"AttributeName": format!("{prefix}sk"), "KeyType": "RANGE"}]);
    let index = |name: &str, columns: &[&str]| json!({"IndexName": name, "KeySchema": keys(name), "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": columns}});
    json!({
        "TableName": TestTable::NAME, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes, "KeySchema": keys(""),
        "GlobalSecondaryIndexes": [index("gsi1", &LISTING), index("gsi2", &LISTING), index("gsi3", &DUE)],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    })
}

impl TestTable {
    pub const NAME: &'static str = "axle";

    pub async fn start() -> Self {
        let database = Database::memory().expect("an in-memory database opens");
        database.create_table(typed(definition())).expect("the table can be made");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
        let [next_records, next_changes] = [0, 1].map(|_| Mutex::new(first_iterator(&database)));
        Self { database, address, server, next_records, next_changes }
    }

    /// A client of this table.
    pub fn client(&self) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(format!("http://{}", self.address))
            .build();
        Client::from_conf(config)
    }

    /// Every item there is, in DynamoDB's JSON: what no code may read at run time, tests may.
    pub fn items(&self) -> Vec<Value> {
        let (mut items, mut start) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({"TableName": Self::NAME});
            if !start.is_null() {
                request["ExclusiveStartKey"] = start;
            }
            let page = self.database.scan(typed(request)).expect("the table can be scanned");
            let page = serde_json::to_value(page).expect("a page has a JSON form");
            items.extend(page["Items"].as_array().cloned().unwrap_or_default());
            start = page["LastEvaluatedKey"].clone();
            if start.is_null() {
                return items;
            }
        }
    }

    /// Every item as text, with what is packed in it unpacked.
    pub fn texts(&self) -> Vec<String> {
        let text = |item: Value| match item["packed"]["B"].as_str() {
            Some(packed) => {
                let packed = base64::engine::general_purpose::STANDARD.decode(packed).expect("bytes are in base64");
                let segment = axle_store::crm::search::Segment::unpack(&packed).expect("a segment can be unpacked");
                format!("{item} {:?}", segment.rows().collect::<Vec<_>>())
            }
            None => item.to_string(),
        };
        self.items().into_iter().map(text).collect()
    }

    /// The stream's records since the last call that the relay's event source lets through: inserted events and jobs.
    pub fn new_records(&self) -> Vec<Value> {
        self.read_stream(&self.next_records, passes_filter)
    }

    /// The stream's records since the last call that the aggregator's event source lets through: changes of what the dashboard counts,
    /// and wishes for segments.
    pub fn new_changes(&self) -> Vec<Value> {
        self.read_stream(&self.next_changes, is_counted)
    }

    fn read_stream(&self, next: &Mutex<String>, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut found = Vec::new();
        let mut iterator = next.lock().expect("no test panics while it reads the stream");
        loop {
            let batch = self.database.get_records(typed(json!({"ShardIterator": *iterator}))).expect("the stream can be read");
            if batch.records.is_empty() {
                return found;
            }
            let records = batch.records.iter().map(|r| serde_json::to_value(r).expect("a record has a JSON form"));
            found.extend(records.filter(&wanted));
            *iterator = batch.next_shard_iterator.expect("the stream goes on");
        }
    }
}

fn first_iterator(database: &Database) -> String {
    let streams = database.list_streams(typed(json!({"TableName": TestTable::NAME}))).expect("streams are listed");
    let streams = serde_json::to_value(streams).expect("streams have a JSON form");
    let arn = &streams["Streams"][0]["StreamArn"];
    let stream = database.describe_stream(typed(json!({"StreamArn": arn}))).expect("the stream is described");
    let stream = serde_json::to_value(stream).expect("a stream has a JSON form");
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let from = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    database.get_shard_iterator(typed(from)).expect("the stream has an iterator").shard_iterator.expect("an iterator is given")
}

fn passes_filter(record: &Value) -> bool {
    let image = &record["dynamodb"]["NewImage"];
    record["eventName"] == "INSERT" && (image["type"]["S"] == "event" || !image["job"].is_null())
}

fn is_counted(record: &Value) -> bool {
    let kind = |image: &str| record["dynamodb"][image]["type"]["S"].as_str().unwrap_or_default().to_owned();
    let records = ["company", "contact", "deal", "activity", "task"];
    let of_record = records.contains(&kind("NewImage").as_str()) || records.contains(&kind("OldImage").as_str());
    let event = record["dynamodb"]["NewImage"]["event_type"]["S"].as_str().unwrap_or_default();
    let messages = ["sent", "opened", "clicked", "replied", "bounced", "complained", "failed", "cancelled"];
    let event = event.strip_prefix("communication.").unwrap_or_default();
    let image = &record["dynamodb"]["NewImage"];
    let wish = image["type"]["S"] == "crm_search" && image["wish"]["S"] == "seal";
    of_record || wish || (record["eventName"] == "INSERT" && messages.contains(&event))
}

impl Drop for TestTable {
    fn drop(&mut self) {
        self.server.abort();
    }
}
