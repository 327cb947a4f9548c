#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wiremock::matchers::{body_bytes, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::objects::read_all;

fn bucket(endpoint: impl Into<String>) -> S3Objects {
    let endpoint = endpoint.into();
    let client = Lazy::new(move || {
        Client::from_conf(
            aws_sdk_s3::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-west-1"))
                .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                .retry_config(RetryConfig::disabled())
                .endpoint_url(endpoint.clone())
                .force_path_style(true)
                .build(),
        )
    });
    S3Objects::new(client, "b")
}

async fn collect(stream: ByteStream) -> Result<Vec<u8>, ObjectError> {
    Ok(stream.try_collect::<Vec<_>>().await?.concat())
}

#[tokio::test]
async fn put() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path("/b/imports/e/j.csv"))
        .and(header("content-type", "text/csv"))
        .and(body_bytes(b"a,b"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    bucket(server.uri()).put("imports/e/j.csv", "text/csv", Bytes::from_static(b"a,b")).await.unwrap();
}

#[tokio::test]
async fn ranges() {
    let server = MockServer::start().await;
    let part = ResponseTemplate::new(206).set_body_string("world").insert_header("etag", "\"e1\"");
    Mock::given(header("range", "bytes=6-")).and(header("if-match", "\"e1\"")).respond_with(part).mount(&server).await;
    Mock::given(header("range", "bytes=11-")).respond_with(ResponseTemplate::new(416)).mount(&server).await;
    Mock::given(header("if-match", "\"old\"")).respond_with(ResponseTemplate::new(412)).mount(&server).await;
    Mock::given(path("/b/gone")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    Mock::given(path("/b/denied")).respond_with(ResponseTemplate::new(403)).mount(&server).await;
    Mock::given(path("/b/broken")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    Mock::given(path("/b/empty")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let store = bucket(server.uri());
    assert_eq!(collect(store.get_stream("k", 6, Some("\"e1\"")).await.unwrap()).await.unwrap(), b"world");
    assert_eq!(collect(store.get_stream("k", 11, None).await.unwrap()).await.unwrap(), b"");
    assert_eq!(read_all(&store, "empty", 0).await.unwrap(), b"");
    assert!(matches!(store.get_stream("k", 0, Some("\"old\"")).await, Err(ObjectError::Changed(_))));
    assert!(matches!(store.get_stream("gone", 0, None).await, Err(ObjectError::NotFound(_))));
    assert!(matches!(store.get_stream("denied", 0, None).await, Err(ObjectError::NotFound(_))));
    assert!(matches!(store.get_stream("broken", 0, None).await, Err(ObjectError::Failed { .. })));
}

/// Serves "0123456789", never more than four bytes a connection while promising all; remembers the heads of the requests.
/// The first `hiccups` bodies break off before their first byte.
async fn breaking_off(hiccups: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        let all = b"0123456789";
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let from = head.split("range: bytes=").nth(1).map_or(0, |rest| rest.split('-').next().unwrap().parse().unwrap());
            let count = seen.lock().unwrap().len();
            seen.lock().unwrap().push(head);
            let promise = format!("HTTP/1.1 206 x\r\netag: \"e1\"\r\ncontent-length: {}\r\n\r\n", all.len() - from);
            let until = if count < hiccups { from } else { all.len().min(from + 4) };
            stream.write_all(&[promise.as_bytes(), &all[from..until]].concat()).await.unwrap();
        }
    });
    (endpoint, heads)
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_where_it_ended() {
    let (endpoint, heads) = breaking_off(0).await;
    assert_eq!(read_all(&bucket(endpoint), "k", 10).await.unwrap(), b"0123456789");
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 3);
    assert!(!heads[0].contains("range:") && !heads[0].contains("if-match"));
    assert!(heads[1].contains("range: bytes=4-") && heads[1].contains("if-match: \"e1\""));
    assert!(heads[2].contains("range: bytes=8-"));
}

#[tokio::test]
async fn resuming_ends_without_progress() {
    let (endpoint, heads) = breaking_off(usize::MAX).await;
    assert!(matches!(read_all(&bucket(endpoint), "k", 10).await, Err(ObjectError::Failed { .. })));
    assert_eq!(heads.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn head() {
    let server = MockServer::start().await;
    let found = ResponseTemplate::new(200).insert_header("etag", "\"e1\"").set_body_string("12345");
    Mock::given(method("HEAD")).and(path("/b/k")).respond_with(found).mount(&server).await;
    Mock::given(path("/b/denied")).respond_with(ResponseTemplate::new(403)).mount(&server).await;
    Mock::given(path("/b/broken")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
    let store = bucket(server.uri());
    assert_eq!(store.head("k").await.unwrap().unwrap().etag, "\"e1\"");
    assert_eq!(store.head("gone").await.unwrap(), None);
    assert_eq!(store.head("denied").await.unwrap(), None);
    assert!(matches!(store.head("broken").await, Err(ObjectError::Failed { .. })));
}

#[tokio::test]
async fn presigned_requests() {
    let store = bucket("http://127.0.0.1:9");
    let ttl = Duration::from_secs(900);
    let open = store.presign_put("uploads/e/u", "text/csv", None, ttl).await.unwrap();
    assert!(open.url.starts_with("http://127.0.0.1:9/b/uploads/e/u?"), "{}", open.url);
    assert!(open.url.contains("X-Amz-Expires=900") && open.url.contains("X-Amz-Signature="), "{}", open.url);
    assert!(open.url.contains("X-Amz-SignedHeaders=content-type%3Bhost&"), "{}", open.url);
    assert!(!open.url.to_lowercase().contains("checksum"), "{}", open.url);
    assert_eq!(open.headers, [("content-type".to_owned(), "text/csv".to_owned())].into());

    let exact = store.presign_put("uploads/e/u", "text/csv", Some(77), ttl).await.unwrap();
    assert!(exact.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&"), "{}", exact.url);
    assert_eq!(exact.headers["content-length"], "77");

    let get = store.presign_get("imports/e/j/errors.csv", "errors.csv", ttl).await.unwrap();
    assert!(get.contains("response-content-disposition=attachment"), "{get}");
    let too_long = Duration::from_secs(8 * 86_400);
    assert!(store.presign_get("k", "f", too_long).await.is_err());
}

#[tokio::test]
async fn small_objects_are_one_put() {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(query_param_is_missing("partNumber"))
        .and(header("content-type", "text/csv"))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    let mut writer = bucket(server.uri()).writer("k", "text/csv").await.unwrap();
    writer.write(b"one,").await.unwrap();
    writer.write(b"two").await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), 7);
}

const PART: usize = 8 * 1024 * 1024;

async fn multipart_server() -> MockServer {
    let server = MockServer::start().await;
    let begun = "<InitiateMultipartUploadResult><UploadId>up1</UploadId></InitiateMultipartUploadResult>";
    Mock::given(method("POST"))
        .and(query_param("uploads", ""))
        .and(header("content-type", "text/csv"))
        .respond_with(ResponseTemplate::new(200).set_body_string(begun))
        .mount(&server)
        .await;
    Mock::given(method("PUT"))
        .and(query_param("uploadId", "up1"))
        .respond_with(|request: &Request| {
            let part = request.url.query_pairs().find(|(name, _)| name == "partNumber").unwrap().1.into_owned();
            let answer = ResponseTemplate::new(200).insert_header("etag", format!("\"p{part}\"").as_str());
            answer.insert_header("x-amz-checksum-crc32", request.headers["x-amz-checksum-crc32"].clone())
        })
        .mount(&server)
        .await;
    let done = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
    Mock::given(method("POST"))
        .and(query_param("uploadId", "up1"))
        .respond_with(ResponseTemplate::new(200).set_body_string(done))
        .mount(&server)
        .await;
    Mock::given(method("DELETE"))
        .and(query_param("uploadId", "up1"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn large_objects_are_uploaded_in_parts() {
    let server = multipart_server().await;
    let mut writer = bucket(server.uri()).writer("k", "text/csv").await.unwrap();
    let piece = vec![b'x'; 3 * 1024 * 1024];
    for _ in 0..6 {
        writer.write(&piece).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 18 * 1024 * 1024);
    let requests = server.received_requests().await.unwrap();
    let sizes: Vec<usize> = requests.iter().filter(|r| r.method == "PUT").map(|r| r.body.len()).collect();
    assert_eq!(sizes, [PART, PART, 2 * 1024 * 1024]);
    assert_eq!(requests[0].headers["x-amz-checksum-algorithm"], "CRC32");
    assert!(requests[1..4].iter().all(|part| part.headers.contains_key("x-amz-checksum-crc32")));
    let complete = String::from_utf8(requests.last().unwrap().body.clone()).unwrap();
    for (number, part) in (1..).zip(&requests[1..4]) {
        let checksum = part.headers["x-amz-checksum-crc32"].to_str().unwrap();
        assert!(complete.contains(&format!("<PartNumber>{number}</PartNumber>")), "{complete}");
        assert!(complete.contains(&format!("<ChecksumCRC32>{checksum}</ChecksumCRC32>")), "{complete}");
        assert!(complete.contains(&format!("p{number}")), "{complete}");
    }
}

#[tokio::test]
async fn aborting() {
    let server = multipart_server().await;
    let mut writer = bucket(server.uri()).writer("k", "text/csv").await.unwrap();
    writer.write(&vec![b'x'; PART]).await.unwrap();
    writer.abort().await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let methods: Vec<String> = requests.iter().map(|request| request.method.to_string()).collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
}
