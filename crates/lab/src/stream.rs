//! Reading server-sent events over one connection.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::http;

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    /// The kind word, such as `incident.opened`.
    pub(crate) kind: String,
    /// The `data:` lines as JSON; null when they are none.
    pub(crate) data: Value,
}

/// An open event stream.
#[derive(Debug)]
pub(crate) struct Stream {
    connection: TcpStream,
    chunked: bool,
    wire: Vec<u8>,
    text: Vec<u8>,
}

impl Stream {
    /// Opens the stream at `path`; an error when the reply is not 200.
    pub(crate) async fn open(address: SocketAddr, path: &str, token: &str) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("event stream: {error}");
        let mut connection = http::connect(address).await.map_err(failed)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.map_err(failed)?;
        let mut wire = Vec::new();
        let end = loop {
            if let Some(end) = http::head_end(&wire) {
                break end;
            }
            http::fill(&mut connection, &mut wire).await.map_err(failed)?;
        };
        let head: Vec<u8> = wire.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        if !head.starts_with("HTTP/1.1 200") {
            let line = head.lines().next().unwrap_or("").to_owned();
            return Err(format!("event stream: {line}"));
        }
        let chunked = http::header(&head, "transfer-encoding").is_some();
        Ok(Self { connection, chunked, wire, text: Vec::new() })
    }

    /// The next event; an error when the stream ends.
    pub(crate) async fn next(&mut self) -> Result<Event, String> {
        loop {
            if let Some(end) = self.text.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = read(&String::from_utf8_lossy(&block)) {
                    return Ok(event);
                }
                continue;
            }
            let more = if self.chunked {
                http::read_chunk(&mut self.connection, &mut self.wire)
                    .await
                    .map_err(|error| format!("event stream: {error}"))?
                    .ok_or("event stream: ended")?
            } else {
                if self.wire.is_empty() {
                    http::fill(&mut self.connection, &mut self.wire)
                        .await
                        .map_err(|error| format!("event stream: {error}"))?;
                }
                std::mem::take(&mut self.wire)
            };
            self.text.extend(more.into_iter().filter(|byte| *byte != b'\r'));
        }
    }
}

fn read(block: &str) -> Option<Event> {
    let (mut kind, mut data) = (String::new(), String::new());
    for line in block.lines() {
        // A line without a name is a comment, sent to keep the connection alive.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut kind),
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    Some(Event { kind, data: serde_json::from_str(&data).unwrap_or(Value::Null) })
}

/// Every id under the members `alertId` and `alertIds`, at any depth up to four.
pub(crate) fn alert_ids(value: &Value) -> Vec<String> {
    fn id(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
    fn collect(value: &Value, depth: u8, found: &mut Vec<String>) {
        let Value::Object(members) = value else { return };
        for (name, value) in members {
            match (name.as_str(), value) {
                ("alertId", value) => found.extend(id(value)),
                ("alertIds", Value::Array(values)) => found.extend(values.iter().filter_map(id)),
                (_, value) if depth > 0 => collect(value, depth - 1, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(value, 4, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trivial;

    #[tokio::test]
    async fn events_split_over_chunks_are_read_whole() {
        let server = trivial::Responder::start(|_| {
            trivial::chunked(&[
                ": hello\n\nid: 1\nevent: incident.op",
                "ened\ndata: {\"alertIds\":[\"a\",",
                "2]}\n\nevent: x\ndata: 7\n\n",
            ])
        })
        .await
        .unwrap();
        let mut stream = Stream::open(server.address, "/events", "t").await.unwrap();
        let event = stream.next().await.unwrap();
        assert_eq!(event.kind, "incident.opened");
        assert_eq!(alert_ids(&event.data), ["a", "2"]);
        assert_eq!(stream.next().await.unwrap(), Event { kind: "x".to_owned(), data: json!(7) });
        assert!(stream.next().await.is_err());
    }

    #[test]
    fn ids_are_found_inside_a_body() {
        assert_eq!(alert_ids(&json!({"body": {"alertIds": ["x"]}, "alertId": "y"})).len(), 2);
    }
}
