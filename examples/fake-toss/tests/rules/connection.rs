//! What becomes of an answer on its connection.

use std::time::Duration;

use fake_toss::fault::{Fault, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{LOGIN, started};

#[tokio::test]
async fn an_answer_can_come_twice_and_whole() {
    let toss = started().await;
    let key = toss.pay("order-1", 1_000).await;
    toss.fault(&Fault::new(Kind::AnswersTwice)).await;
    let address = toss.url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let (name, login) = LOGIN;
    let request =
        format!("GET /v1/payments/{key} HTTP/1.1\r\nhost: {address}\r\n{name}: {login}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let bodies = |heard: &str| heard.matches("\"balanceAmount\":1000").count();
    while bodies(&heard) < 2 {
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut bytes));
        let count = read.await.expect("a second answer").unwrap();
        assert_ne!(count, 0, "closed after {heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert_eq!(heard.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{heard}");
    // The fault is over.
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut rest = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut rest));
    read.await.unwrap().unwrap();
    assert!(heard.trim_end().ends_with('}'), "{heard}");
}
