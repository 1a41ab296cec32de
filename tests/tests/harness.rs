//! The harness itself, against the real servers that it starts.

#![allow(
    clippy::unwrap_used,
    reason = "in tests a failed unwrap is the failure itself"
)]

use std::time::{Duration, Instant};

use ticketon_tests::{
    AppProcess, Authority, Browser, ConnectError, MariaDb, Port, RedisCluster, RedisSentinel,
    RedisServer, SseClient, eventually, speak_tls, workspace_bin, workspace_bin_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn redis_keeps_acknowledged_writes_through_a_kill() {
    let mut redis = RedisServer::builder().appendonly(true).start().await;
    let url = redis.url();
    assert_eq!(redis.cli(&["SET", "key", "two words"]).await, "OK");

    redis.kill9();
    assert!(
        TcpStream::connect(("127.0.0.1", redis.port()))
            .await
            .is_err()
    );

    redis.restart().await;
    assert_eq!(redis.url(), url);
    assert_eq!(redis.cli(&["GET", "key"]).await, "two words");
}

#[tokio::test]
async fn cluster_replaces_a_dead_master_and_takes_it_back_as_a_replica() {
    let mut cluster = RedisCluster::start().await;
    assert_eq!(
        cluster.slot_of("{key}:anything").await,
        cluster.slot_of("key").await
    );
    assert_eq!(cluster.cli("key", &["SET", "key", "kept"]).await, "OK");
    cluster.wait_copied("key").await;
    let heir = cluster.replica_of("key").await;

    let dead = cluster.kill9_master_of("key").await;
    cluster.wait_failover(dead).await;
    assert_eq!(cluster.master_of("key").await, heir);
    assert_eq!(cluster.cli("key", &["GET", "key"]).await, "kept");

    cluster.restart(dead).await;
    cluster.wait_whole().await;
    assert_eq!(cluster.replica_of("key").await, dead);

    // A replica that was cut off takes over without what it missed.
    let stale = cluster.cut_off_replica_of("key").await;
    assert_eq!(cluster.cli("key", &["SET", "key", "lost"]).await, "OK");
    cluster.kill9_master_of("key").await;
    cluster.resume(stale);
    cluster.wait_failover(heir).await;
    assert_eq!(cluster.cli("key", &["GET", "key"]).await, "kept");
}

#[tokio::test]
async fn sentinel_replaces_a_dead_master_and_takes_it_back_as_a_replica() {
    let mut group = RedisSentinel::start().await;
    let first = group.master().await;
    assert_eq!(first.cli(&["SET", "key", "kept"]).await, "OK");
    assert_eq!(first.cli(&["WAIT", "2", "5000"]).await, "2");
    let dead = group.kill9_master().await;
    let next = group.wait_failover(dead).await;
    assert_ne!(next, dead);
    assert_eq!(group.master().await.cli(&["GET", "key"]).await, "kept");
    group.restart(dead).await;
    group.wait_whole().await;
    assert_eq!(group.master_port().await, next);
}

#[tokio::test]
async fn redis_without_the_file_comes_back_empty() {
    let mut redis = RedisServer::start().await;
    redis.cli(&["SET", "key", "value"]).await;
    redis.restart().await;
    assert_eq!(redis.cli(&["EXISTS", "key"]).await, "0");
}

#[tokio::test]
async fn redis_that_is_paused_does_not_answer_until_it_is_resumed() {
    let mut redis = RedisServer::start().await;
    let mut connection = TcpStream::connect(("127.0.0.1", redis.port()))
        .await
        .unwrap();
    redis.pause();
    connection.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    let read = connection.read_exact(&mut answer);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), read)
            .await
            .is_err()
    );

    redis.resume();
    tokio::time::timeout(SOON, connection.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[tokio::test]
async fn redis_takes_settings_and_a_password() {
    let redis = RedisServer::builder()
        .password("secret")
        .maxmemory_policy("allkeys-lru")
        .setting("maxmemory", "64mb")
        .start()
        .await;
    assert!(redis.url().starts_with("redis://:secret@127.0.0.1:"));
    let policy = redis.cli(&["CONFIG", "GET", "maxmemory-policy"]).await;
    assert!(policy.ends_with("allkeys-lru"), "{policy}");

    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let pong: String = redis::cmd("PING")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(pong, "PONG");

    let stranger = redis.url().replace(":secret@", "");
    let client = redis::Client::open(stranger).unwrap();
    let refused = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await
    };
    assert!(refused.await.unwrap_err().to_string().contains("NOAUTH"));
}

#[tokio::test]
async fn redis_with_tls_is_reached_by_who_trusts_its_authority_alone() {
    let redis = RedisServer::builder().tls(true).start().await;
    assert!(redis.url().starts_with("rediss://"));
    assert_eq!(redis.cli(&["PING"]).await, "PONG");

    speak_tls();
    let ping = async |root: Option<String>| {
        let certificates = redis::TlsCertificates {
            client_tls: None,
            root_cert: root.map(String::into_bytes),
        };
        let client = redis::Client::build_with_tls(redis.url(), certificates)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await
    };
    assert_eq!(ping(redis.ca_pem()).await.unwrap(), "PONG");
    assert!(
        ping(None).await.is_err(),
        "a certificate of no public authority"
    );
    assert!(
        ping(Some(Authority::new().pem())).await.is_err(),
        "another authority"
    );
}

#[tokio::test]
async fn redis_and_its_folder_are_gone_with_the_value() {
    let redis = RedisServer::builder().tls(true).start().await;
    let (port, file) = (redis.port(), redis.ca_file().unwrap());
    assert!(file.is_file());
    drop(redis);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(!file.parent().unwrap().exists());
}

#[tokio::test]
async fn a_program_of_the_workspace_is_built_once_and_runs() {
    let (first, second) = tokio::join!(workspace_bin("xtask"), workspace_bin("xtask"));
    assert_eq!(first, second);
    let built = first.metadata().unwrap().modified().unwrap();
    let again = workspace_bin("xtask").await;
    assert_eq!(again.metadata().unwrap().modified().unwrap(), built);

    let exit = AppProcess::builder(again)
        .arg("help")
        .run_to_exit(SOON)
        .await;
    assert!(exit.status.success());
    assert!(
        exit.output.starts_with("Usage: cargo xtask"),
        "{}",
        exit.output
    );

    let bare = workspace_bin_with("xtask", &[]).await;
    assert_ne!(bare, first);
    assert!(bare.is_file());
}

#[tokio::test]
#[should_panic(expected = "no-such-program")]
async fn a_program_that_does_not_build_is_a_failure_with_cargos_words() {
    workspace_bin("no-such-program").await;
}

#[tokio::test]
async fn an_app_that_cannot_start_fails_with_its_output() {
    let exit = AppProcess::builder("sh")
        .args([
            "-c",
            "echo \"PORT is $PORT, wanted 1 to 65535\" >&2; exit 2",
        ])
        .env("PORT", "0")
        .run_to_exit(SOON)
        .await;
    assert_eq!(exit.status.code(), Some(2));
    assert_eq!(exit.output, "PORT is 0, wanted 1 to 65535\n");
}

#[tokio::test]
async fn an_app_is_ready_when_it_says_so() {
    let mut app = AppProcess::builder("perl")
        .args(["-e", TINY_APP, "--"])
        .start()
        .await;
    let get = async |url: String| reqwest::get(url).await?.text().await;
    assert_eq!(get(app.url("/hello")).await.unwrap(), "/hello");
    assert!(app.output().contains("listening"), "{}", app.output());

    let (before, url) = (app.id(), app.base_url());
    app.kill9();
    assert!(get(url.clone()).await.is_err());
    app.restart().await;
    assert_ne!(app.id(), before);
    assert_eq!(app.base_url(), url);

    app.pause();
    let silent = tokio::time::timeout(Duration::from_millis(200), get(url.clone())).await;
    assert!(silent.is_err());
    app.resume();
    assert_eq!(get(url + "/again").await.unwrap(), "/again");

    app.terminate();
    assert_eq!(app.wait_exit(SOON).await.code(), Some(7));
}

/// Answers the first two readiness checks with 503, everything else with its path; ends with code
/// 7 on SIGTERM. Perl is part of every Debian.
const TINY_APP: &str = r#"
    use IO::Socket::INET;
    $| = 1;
    $SIG{TERM} = sub { exit 7 };
    my $socket = IO::Socket::INET->new(LocalAddr => $ARGV[1], Listen => 9, ReuseAddr => 1) or die $!;
    print "listening\n";
    my $checks = 0;
    while (1) {
        my $client = $socket->accept or next;
        my ($path) = <$client> =~ m{^GET (\S+)};
        while (<$client>) { last if $_ eq "\r\n" }
        my $status = $path eq "/health/ready" && $checks++ < 2 ? 503 : 200;
        print $client "HTTP/1.1 $status X\r\nConnection: close\r\nContent-Length: ",
            length($path), "\r\n\r\n$path";
        close $client;
    }
"#;

/// Answers one request with these pieces. Yields what was asked, and the connection, still open.
async fn serve_once(pieces: Vec<&'static [u8]>) -> (String, JoinHandle<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stream", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.set_nodelay(true).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.unwrap());
        }
        for piece in pieces {
            connection.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        (String::from_utf8(request).unwrap(), connection)
    });
    (url, served)
}

const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn sse_events_arrive_with_their_fields() {
    let (url, served) = serve_once(vec![
        STREAM_HEAD,
        b"retry: 2500\r\n\r\n: keep-alive\n\nid: 9-1\nevent: wait",
        b"ing\ndata: {\"position\":\ndata: 42}\n\nid: 9-2\r\nevent: admitted\r\ndata: {}\r\n\r",
        b"\nevent: lost\ndata: never finished",
    ])
    .await;
    let mut stream = SseClient::request(&url)
        .bearer("token")
        .cookie("guest=g1")
        .last_event_id("9-0")
        .connect()
        .await
        .unwrap();

    let retry = stream.next_block(SOON).await.unwrap();
    assert_eq!(retry.retry, Some(Duration::from_millis(2500)));
    let waiting = stream.next_event(SOON).await.unwrap();
    assert_eq!(waiting.event, "waiting");
    assert_eq!(waiting.json::<serde_json::Value>()["position"], 42);
    assert_eq!(stream.last_event_id(), Some("9-1"));
    let admitted = stream.until(|event| event.event == "admitted", SOON).await;
    assert_eq!(admitted.id.as_deref(), Some("9-2"));
    assert_eq!(stream.seen().count(), 4);

    let (request, connection) = served.await.unwrap();
    drop(connection);
    assert_eq!(stream.next_event(SOON).await, None);
    assert!(stream.is_ended());
    let request = request.to_lowercase();
    for header in [
        "accept: text/event-stream\r\n",
        "authorization: bearer token\r\n",
        "cookie: guest=g1\r\n",
        "last-event-id: 9-0\r\n",
    ] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn sse_waits_no_longer_than_its_bound() {
    let (url, served) = serve_once(vec![STREAM_HEAD]).await;
    let mut stream = SseClient::request(&url).connect().await.unwrap();
    let (_, connection) = served.await.unwrap();
    let started = Instant::now();
    assert_eq!(stream.next_event(Duration::from_millis(100)).await, None);
    assert!(started.elapsed() < SOON);
    assert!(!stream.is_ended());

    drop(connection);
    assert_eq!(stream.until_end(SOON).await, []);
}

#[tokio::test]
#[should_panic(expected = "before the wanted event; 1 came")]
async fn sse_that_never_sends_the_event_fails_with_what_came() {
    let (url, _served) = serve_once(vec![STREAM_HEAD, b"data: x\n\n"]).await;
    let mut stream = SseClient::request(&url).connect().await.unwrap();
    stream
        .until(
            |event| event.event == "admitted",
            Duration::from_millis(200),
        )
        .await;
}

#[tokio::test]
async fn sse_that_is_refused_shows_the_answer() {
    let (url, _served) = serve_once(vec![
        b"HTTP/1.1 410 Gone\r\nx-why: closed\r\ncontent-length: 21\r\n\r\n{\"code\":\"roomClosed\"}",
    ])
    .await;
    let error = SseClient::connect(&url, reqwest::header::HeaderMap::new())
        .await
        .unwrap_err();
    assert_eq!(error.status(), 410);
    let ConnectError::Refused { headers, body, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(headers["x-why"], "closed");
    assert_eq!(body, r#"{"code":"roomClosed"}"#);
}

#[tokio::test]
async fn sse_without_a_server_is_a_transport_error() {
    let port = Port::reserve();
    let url = format!("http://127.0.0.1:{}/", port.number());
    let error = SseClient::request(&url).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Transport(_)), "{error:?}");
}

#[tokio::test]
async fn browser_shows_a_page_in_the_size_of_a_telephone() {
    let page = "data:text/html,<title>Hi</title><meta name=viewport content=width=device-width>\
                <h1>Ticketon</h1><script>console.error('seen')</script>";
    let browser = Browser::builder().language("ko-KR").start().await;
    browser.viewport(390, 844).await;
    browser.client().goto(page).await.unwrap();
    assert_eq!(browser.client().title().await.unwrap(), "Hi");

    let script = "return [innerWidth, innerHeight, navigator.language]";
    let seen = browser.client().execute(script, Vec::new()).await.unwrap();
    assert_eq!(seen, serde_json::json!([390, 844, "ko-KR"]));
    let console = eventually(SOON, async || {
        let console = browser.console().await;
        (!console.is_empty()).then_some(console)
    })
    .await;
    assert!(
        console[0].starts_with("SEVERE") && console[0].contains("seen"),
        "{console:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.png");
    browser.screenshot(&file).await;
    let picture = std::fs::read(file).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    // The size stands in the header of a PNG.
    let size = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (390, 844));
}

#[tokio::test]
async fn browser_goes_offline_and_comes_back() {
    let app = AppProcess::builder("perl")
        .args(["-e", TINY_APP, "--"])
        .start()
        .await;
    let browser = Browser::start().await;
    browser.client().goto(&app.url("/page")).await.unwrap();
    let fetch = "const done = arguments[arguments.length - 1]; \
                 fetch('/x').then(a => a.text()).then(done, () => done('failed'))";
    let fetched = async || {
        browser
            .client()
            .execute_async(fetch, Vec::new())
            .await
            .unwrap()
    };
    assert_eq!(fetched().await, "/x");
    browser.offline(true).await;
    assert_eq!(fetched().await, "failed");
    browser.offline(false).await;
    assert_eq!(fetched().await, "/x");
}

#[tokio::test]
async fn browser_processes_are_gone_with_the_value() {
    let browser = Browser::start().await;
    let process = browser.client().capabilities().unwrap()["goog:processID"]
        .as_u64()
        .unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{process}"));
    assert!(process.exists());
    drop(browser);
    eventually(SOON, async || !process.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_waited_for_in_a_task_of_its_own() {
    let all = tokio::spawn(async {
        let mut redis = RedisServer::start().await;
        redis.restart().await;
        let mut app = AppProcess::builder("perl")
            .args(["-e", TINY_APP, "--"])
            .start()
            .await;
        app.restart().await;
        let (url, _served) = serve_once(vec![STREAM_HEAD, b"data: x\n\n"]).await;
        let mut stream = SseClient::request(&url).connect().await.unwrap();
        stream.until(|event| event.data == "x", SOON).await;
        let pong = eventually(SOON, || async { Some(redis.cli(&["PING"]).await) }).await;
        assert_eq!(pong, "PONG");
        let browser = Browser::start().await;
        browser.viewport(390, 844).await;
    });
    all.await.unwrap();
}

#[tokio::test]
async fn mariadb_keeps_what_it_acknowledged_through_a_kill_and_waits_while_it_is_paused() {
    let mut server = MariaDb::start().await;
    let [one, other] = [server.fresh_name().await, server.fresh_name().await];
    assert_ne!(one, other);
    assert_eq!(
        server.url_of(&one),
        format!("mysql://root@127.0.0.1:{}/{one}", server.port())
    );
    let table = format!("{one}.numbers");
    server
        .sql(&format!(
            "CREATE TABLE {table} (n INT PRIMARY KEY) ENGINE = InnoDB; INSERT INTO {table} VALUES (7)"
        ))
        .await;
    server.kill9();
    assert!(
        TcpStream::connect(("127.0.0.1", server.port()))
            .await
            .is_err()
    );
    server.restart().await;
    let read = format!("SELECT n FROM {table}");
    assert_eq!(server.sql(&read).await, "7");

    server.pause();
    let answer = tokio::time::timeout(Duration::from_millis(300), server.sql(&read)).await;
    assert!(answer.is_err(), "a paused server answered");
    server.resume();
    assert_eq!(server.sql(&read).await, "7");
}
