//! A web server that answers with whatever a test wants, byte by byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axle_providers::enrich::Settings;
use axle_providers::outbound::{Client, NetworkPolicy, Resolver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

/// What is sent: pieces with a pause before each, then the connection is closed; or the last piece for ever.
#[derive(Clone, Default)]
pub struct Answer {
    pub pieces: Vec<Vec<u8>>,
    pub pause: Duration,
    pub endless: bool,
}

impl Answer {
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![bytes.into()], ..Self::default() }
    }

    pub fn page(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        Self::raw([head.as_bytes(), b"\r\n", body].concat())
    }

    pub fn html(body: &str) -> Self {
        Self::page(200, &[("content-type", "text/html; charset=utf-8")], body.as_bytes())
    }

    pub fn status(status: u16) -> Self {
        Self::page(status, &[], b"")
    }

    pub fn redirect(to: &str) -> Self {
        Self::page(302, &[("location", to)], b"")
    }
}

pub struct Site {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Serves by path and query. `/robots.txt` is asked for like everything else.
    pub async fn serving(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let site = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let (asked, answer) = (Arc::clone(&site.asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        let mut buffer = [0; 4096];
                        match stream.read(&mut buffer).await {
                            Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
                            _ => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    asked.lock().unwrap().push(path.clone());
                    let Answer { pieces, pause, endless } = answer(&path);
                    for piece in &pieces {
                        tokio::time::sleep(pause).await;
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                    }
                    while endless && stream.write_all(pieces.last().unwrap()).await.is_ok() {
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        });
        site
    }

    pub fn url(&self, host: &str) -> Url {
        Url::parse(&format!("http://{host}:{}/", self.port)).unwrap()
    }

    /// What it was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Names under `.test` lead to loopback; `inside.test` leads into a private network, others nowhere.
struct Names;

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match host {
            "inside.test" => Ok(vec!["10.0.0.1".parse().unwrap()]),
            "nowhere.test" | "www.nowhere.test" | "bare.test" => Err(io::Error::other("NXDOMAIN")),
            host if host.ends_with(".test") => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            _ => Err(io::Error::other("NXDOMAIN")),
        }
    }
}

pub fn client() -> Client {
    Client::with_resolver(NetworkPolicy::WITH_LOCAL, Arc::new(Names))
}

/// Without pauses.
pub fn settings() -> Settings {
    Settings { pause: Duration::ZERO, each: Duration::from_secs(15), all: Duration::from_secs(30), ..Settings::default() }
}
