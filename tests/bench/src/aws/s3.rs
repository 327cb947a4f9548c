//! S3, path style: objects whole or by range, and multipart uploads.

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use bytes::Bytes;

use super::objects::Object;
use super::{BUCKET, Backend, chunked};

pub fn answer(backend: &Backend, method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let key = key_of(uri.path());
    let query = uri.query().unwrap_or_default();
    let upload = parameter(query, "uploadId");
    match (method.as_str(), upload) {
        ("GET", None) => get(backend, key, headers, true),
        ("HEAD", None) => get(backend, key, headers, false),
        ("PUT", upload) => {
            let Some(bytes) = payload(headers, body) else {
                return fault(400, "IncompleteBody");
            };
            match upload {
                None => backend.objects().put(key, Object::Bytes(bytes)),
                Some(id) => {
                    let number = parameter(query, "partNumber").and_then(|number| number.parse().ok());
                    let known = number.is_some_and(|number| backend.objects().part(id, number, bytes));
                    if !known {
                        return fault(404, "NoSuchUpload");
                    }
                }
            }
            reply(StatusCode::OK, Body::empty())
        }
        ("POST", None) if query.split('&').any(|part| part == "uploads" || part == "uploads=") => {
            let id = backend.objects().begin();
            xml(&format!(
                "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ))
        }
        ("POST", Some(id)) => {
            if !backend.objects().complete(id, key) {
                return fault(404, "NoSuchUpload");
            }
            xml(&format!(
                "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{key}</Key><ETag>\"bench\"</ETag>\
                 </CompleteMultipartUploadResult>"
            ))
        }
        ("DELETE", upload) => {
            match upload {
                None => backend.objects().delete(key),
                Some(id) => backend.objects().abort(id),
            }
            reply(StatusCode::NO_CONTENT, Body::empty())
        }
        _ => {
            backend.unknown(format!("S3 {method} {uri}"));
            fault(501, "NotImplemented")
        }
    }
}

/// The key in a path-style path; percent-encoding is not undone since no key here needs any.
pub fn key_of(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.strip_prefix(BUCKET).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

fn get(backend: &Backend, key: &str, headers: &HeaderMap, with_body: bool) -> Response<Body> {
    let Some(object) = backend.objects().get(key) else {
        return fault(404, "NoSuchKey");
    };
    let length = object.len();
    let asked = headers.get("range").and_then(|range| range.to_str().ok());
    let range = match asked {
        None => 0..length,
        Some(text) => match range_of(text, length) {
            Some(range) => range,
            None => return fault(416, "InvalidRange"),
        },
    };
    let mut response = Response::builder()
        .status(if asked.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header("content-type", "text/csv")
        .header("accept-ranges", "bytes")
        .header("etag", "\"bench\"")
        .header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        .header("content-length", range.end - range.start);
    if asked.is_some() {
        response = response.header("content-range", format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)));
    }
    let body = if with_body { object.body(range) } else { Body::empty() };
    response.body(body).unwrap_or_else(|_| fault(500, "InternalError"))
}

/// One `bytes=` range (RFC 9110), cut to the object; `None` when it lies outside or is not understood.
fn range_of(header: &str, length: u64) -> Option<Range<u64>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let range = if first.is_empty() {
        length.saturating_sub(last.parse().ok()?)..length
    } else {
        let end = if last.is_empty() { length } else { last.parse::<u64>().ok()?.checked_add(1)? };
        first.parse().ok()?..end.min(length)
    };
    (range.start < range.end).then_some(range)
}

fn payload(headers: &HeaderMap, body: Bytes) -> Option<Bytes> {
    let streamed = headers.get("x-amz-content-sha256").is_some_and(|hash| hash.as_bytes().starts_with(b"STREAMING-"));
    if streamed { chunked::decode(&body) } else { Some(body) }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn reply(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("etag", axum::http::HeaderValue::from_static("\"bench\""));
    response
}

fn xml(text: &str) -> Response<Body> {
    reply(StatusCode::OK, Body::from(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}")))
}

fn fault(status: u16, code: &str) -> Response<Body> {
    let text = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    reply(StatusCode::from_u16(status).unwrap_or_default(), Body::from(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::Request;
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::csv_file::CsvFile;

    async fn call(backend: &Arc<Backend>, request: Request<Body>) -> (u16, Bytes) {
        let response = super::super::routes(backend.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    fn request(method: &str, uri: &str, range: Option<&str>, body: &'static str) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        request.body(Body::from(body)).unwrap()
    }

    #[test]
    fn ranges() {
        assert_eq!(range_of("bytes=0-4", 10), Some(0..5));
        assert_eq!(range_of("bytes=4-", 10), Some(4..10));
        assert_eq!(range_of("bytes=4-99", 10), Some(4..10));
        assert_eq!(range_of("bytes=-3", 10), Some(7..10));
        for bad in ["bytes=10-", "bytes=5-4", "bytes=x-", "lines=1-2"] {
            assert_eq!(range_of(bad, 10), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_put_object_comes_back_whole_and_by_range() {
        let backend = Arc::new(Backend::default());
        let uri = "/axle-bench/imports/e/j.csv?x-id=PutObject";
        assert_eq!(call(&backend, request("PUT", uri, None, "hello world")).await.0, 200);
        let whole = call(&backend, request("GET", "/axle-bench/imports/e/j.csv", None, "")).await;
        assert_eq!(whole, (200, Bytes::from("hello world")));
        let part = call(&backend, request("GET", "/axle-bench/imports/e/j.csv", Some("bytes=6-"), "")).await;
        assert_eq!(part, (206, Bytes::from("world")));
        assert_eq!(call(&backend, request("GET", "/axle-bench/none", None, "")).await.0, 404);
    }

    #[tokio::test]
    async fn a_generated_file_is_streamed() {
        let backend = Arc::new(Backend::default());
        let file = CsvFile::with_bytes("x", 1_000_000);
        let length = file.len();
        backend.objects().put("big.csv", Object::Csv(file));
        let whole = call(&backend, request("GET", "/axle-bench/big.csv", None, "")).await;
        assert_eq!(whole.1.len() as u64, length);
        let tail = call(&backend, request("GET", "/axle-bench/big.csv", Some("bytes=999000-"), "")).await;
        assert_eq!(tail, (206, whole.1.slice(999_000..)));
    }

    #[tokio::test]
    async fn multipart_parts_are_joined_in_order() {
        let backend = Arc::new(Backend::default());
        let begun = call(&backend, request("POST", "/axle-bench/m.csv?uploads", None, "")).await;
        assert!(String::from_utf8_lossy(&begun.1).contains("<UploadId>upload-1</UploadId>"));
        for (number, text) in [(2, "world"), (1, "hello ")] {
            let uri = format!("/axle-bench/m.csv?partNumber={number}&uploadId=upload-1");
            assert_eq!(call(&backend, request("PUT", &uri, None, text)).await.0, 200);
        }
        assert_eq!(call(&backend, request("POST", "/axle-bench/m.csv?uploadId=upload-1", None, "")).await.0, 200);
        let whole = call(&backend, request("GET", "/axle-bench/m.csv", None, "")).await;
        assert_eq!(whole.1, "hello world");
    }
}
