//! Where Redis is: the only place that reads its URLs.
//!
//! | form | what is there |
//! | --- | --- |
//! | `redis://[user:password@]host[:port][/database]` | one server |
//! | `redis+cluster://[user:password@]host:port,host:port` | a Redis Cluster, of which these nodes are asked first |
//! | `redis+sentinel://[user:password@]host:port,host:port/master-name[/database]` | a master that these Sentinels watch |
//!
//! With `rediss` in place of `redis` all connections are TLS. What a message quotes never is, or holds,
//! a login.

use std::fmt;

use ::redis::ConnectionAddr;
use percent_encoding::percent_decode_str;

/// The port of a server whose URL names none.
const SERVER_PORT: u16 = 6379;

/// The port of a Sentinel whose URL names none.
const SENTINEL_PORT: u16 = 26379;

/// The most nodes or Sentinels that a URL may name.
const MAX_NODES: usize = 64;

/// A name and a password, each of which may be missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl Login {
    /// This login, with what it lacks taken from another.
    pub(super) fn or(self, other: &Self) -> Self {
        Self {
            username: self.username.or_else(|| other.username.clone()),
            password: self.password.or_else(|| other.password.clone()),
        }
    }
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Node {
    pub(super) fn address(&self, tls: bool) -> ConnectionAddr {
        let (host, port) = (self.host.clone(), self.port);
        if tls {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }
}

/// Servers that are reached in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nodes {
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) nodes: Vec<Node>,
}

/// Where Redis is.
pub(super) enum Address {
    /// One server; the client reads the rest of its URL.
    Server(String),
    /// A cluster, by some of its nodes.
    Cluster(Nodes),
    /// A master and its replicas, by the Sentinels that watch them.
    Sentinel {
        /// The Sentinels, with their own login.
        sentinels: Nodes,
        /// What they call the master.
        master: String,
        /// The login of the master and its replicas.
        login: Login,
        /// The database there.
        database: i64,
    },
}

impl Address {
    /// Reads a URL of any form; the error names the wrong part.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = split_scheme(url)?;
        match scheme {
            "redis" | "rediss" if several_hosts(rest) => Err(format!(
                "several hosts need the scheme {scheme}+cluster or {scheme}+sentinel"
            )),
            "redis" | "rediss" | "unix" | "redis+unix" => Ok(Self::Server(url.to_owned())),
            "redis+cluster" | "rediss+cluster" => cluster(scheme == "rediss+cluster", rest),
            "redis+sentinel" | "rediss+sentinel" => sentinel(scheme == "rediss+sentinel", rest),
            other => Err(format!(
                "the scheme {other:?} is unknown; there are redis, rediss, redis+cluster, rediss+cluster, \
                 redis+sentinel and rediss+sentinel"
            )),
        }
    }

    /// A cluster by the URL of each of some nodes.
    pub(super) fn cluster_of(urls: &[String]) -> Result<Self, String> {
        Ok(Self::Cluster(gather(urls, SERVER_PORT)?))
    }

    /// A master by the URL of each Sentinel.
    pub(super) fn sentinel_of(urls: &[String], master: &str) -> Result<Self, String> {
        if master.is_empty() {
            return Err("the master's name is empty".to_owned());
        }
        Ok(Self::Sentinel {
            sentinels: gather(urls, SENTINEL_PORT)?,
            master: master.to_owned(),
            login: Login::default(),
            database: 0,
        })
    }
}

fn cluster(tls: bool, rest: &str) -> Result<Address, String> {
    let parts = Parts::split(rest)?;
    if !matches!(parts.path, "" | "0") {
        return Err(format!(
            "a cluster has no database but 0, and the path is {:?}",
            parts.path
        ));
    }
    if let Some((name, _)) = parts.query.first() {
        return Err(format!("the parameter {name:?} is unknown"));
    }
    Ok(Address::Cluster(Nodes {
        tls,
        login: parts.login()?,
        nodes: parts.nodes(SERVER_PORT)?,
    }))
}

fn sentinel(tls: bool, rest: &str) -> Result<Address, String> {
    let parts = Parts::split(rest)?;
    let (master, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    if master.is_empty() {
        return Err(
            "the master's name is missing: it follows the last Sentinel as /name".to_owned(),
        );
    }
    let database = match database {
        "" => 0,
        text => (text.parse().ok())
            .filter(|number: &i64| (0..1 << 20).contains(number))
            .ok_or_else(|| format!("the database {text:?} is not a number from 0"))?,
    };
    let mut own = Login::default();
    for (name, value) in &parts.query {
        let field = match *name {
            "sentinel_username" => &mut own.username,
            "sentinel_password" => &mut own.password,
            other => {
                return Err(format!(
                    "the parameter {other:?} is unknown; there are sentinel_username and sentinel_password"
                ));
            }
        };
        *field = Some(decoded(value, name)?);
    }
    Ok(Address::Sentinel {
        sentinels: Nodes {
            tls,
            login: own,
            nodes: parts.nodes(SENTINEL_PORT)?,
        },
        master: decoded(master, "master's name")?,
        login: parts.login()?,
        database,
    })
}

/// Reads a list of plain URLs, which must agree in TLS and login.
fn gather(urls: &[String], port: u16) -> Result<Nodes, String> {
    let mut all: Option<Nodes> = None;
    for (index, url) in urls.iter().enumerate() {
        let number = index + 1;
        let one = plain(url, port).map_err(|why| format!("URL {number}: {why}"))?;
        match &mut all {
            None => all = Some(one),
            Some(all) if all.tls != one.tls => {
                return Err(format!("URL {number}: some URLs are TLS and some are not"));
            }
            Some(all) if one.login != Login::default() && all.login != one.login => {
                return Err(format!(
                    "URL {number}: its login differs from that of the first"
                ));
            }
            Some(all) => all.nodes.extend(one.nodes),
        }
    }
    all.filter(|all| all.nodes.len() <= MAX_NODES)
        .ok_or_else(|| {
            format!(
                "there are {} URLs; 1 to {MAX_NODES} are accepted",
                urls.len()
            )
        })
}

fn plain(url: &str, port: u16) -> Result<Nodes, String> {
    let (scheme, rest) = split_scheme(url)?;
    let tls = match scheme {
        "redis" => false,
        "rediss" => true,
        other => {
            return Err(format!("the scheme {other:?} is neither redis nor rediss"));
        }
    };
    let parts = Parts::split(rest)?;
    if !parts.path.is_empty() || !parts.query.is_empty() || several_hosts(rest) {
        return Err("more than a login, one host and a port".to_owned());
    }
    Ok(Nodes {
        tls,
        login: parts.login()?,
        nodes: parts.nodes(port)?,
    })
}

fn split_scheme(url: &str) -> Result<(&str, &str), String> {
    url.split_once("://")
        .filter(|(scheme, _)| !scheme.contains(['@', '/']))
        .ok_or_else(|| {
            "it has no scheme; accepted are redis://host:port, redis+cluster://host:port,host:port and \
             redis+sentinel://host:port,host:port/master-name, with rediss for TLS"
                .to_owned()
        })
}

fn several_hosts(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or("");
    let hosts = authority.rsplit('@').next().unwrap_or("");
    hosts.contains(',')
}

/// A URL without its scheme, cut but not yet decoded.
struct Parts<'a> {
    userinfo: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn split(rest: &'a str) -> Result<Self, String> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // Without this check a part of such a password would pass for a host, and be quoted.
        if tail.contains('@') {
            return Err(
                "the characters / ? # @ : , of a name or password must be percent-encoded, as %2F %3F %23 %40 %3A %2C"
                    .to_owned(),
            );
        }
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty());
        Ok(Self {
            userinfo,
            hosts,
            path: path.strip_prefix('/').unwrap_or(path),
            query: query
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .collect(),
        })
    }

    fn login(&self) -> Result<Login, String> {
        let Some(userinfo) = self.userinfo else {
            return Ok(Login::default());
        };
        let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let some = |text: &str, what: &str| -> Result<Option<String>, String> {
            (!text.is_empty()).then(|| decoded(text, what)).transpose()
        };
        Ok(Login {
            username: some(username, "username")?,
            password: some(password, "password")?,
        })
    }

    fn nodes(&self, default_port: u16) -> Result<Vec<Node>, String> {
        let hosts: Vec<&str> = self.hosts.split(',').collect();
        if hosts.len() > MAX_NODES {
            return Err(format!(
                "it names {} hosts; at most {MAX_NODES} are accepted",
                hosts.len()
            ));
        }
        let mut nodes = Vec::with_capacity(hosts.len());
        for (index, text) in hosts.into_iter().enumerate() {
            let number = index + 1;
            let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((host, "")) => (host, None),
                Some((host, port)) => (host, port.strip_prefix(':').or(Some(port))),
                None => match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                },
            };
            if host.is_empty() {
                return Err(format!("host {number} is empty"));
            }
            let port = match port {
                None => default_port,
                Some(port) => (port.parse().ok())
                    .filter(|port| *port != 0)
                    .ok_or_else(|| {
                        format!(
                            "the port {port:?} of host {number} is not a number from 1 to 65535"
                        )
                    })?,
            };
            nodes.push(Node {
                host: host.to_owned(),
                port,
            });
        }
        Ok(nodes)
    }
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| format!("the {what} is not UTF-8 after percent-decoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node {
            host: host.to_owned(),
            port,
        }
    }

    fn login(username: Option<&str>, password: Option<&str>) -> Login {
        Login {
            username: username.map(str::to_owned),
            password: password.map(str::to_owned),
        }
    }

    fn refusal(url: &str) -> String {
        match Address::parse(url) {
            Ok(_) => panic!("{url} was accepted"),
            Err(why) => why,
        }
    }

    #[test]
    fn a_cluster_is_read() {
        let url = "rediss+cluster://app:p%40ss%2C@one:7001,[::1]:7002,three";
        let Ok(Address::Cluster(nodes)) = Address::parse(url) else {
            panic!("{url} is no cluster");
        };
        assert!(nodes.tls);
        assert_eq!(nodes.login, login(Some("app"), Some("p@ss,")));
        assert_eq!(
            nodes.nodes,
            [node("one", 7001), node("::1", 7002), node("three", 6379)]
        );
    }

    #[test]
    fn a_master_behind_sentinels_is_read() {
        let url = "redis+sentinel://:secret@s1,s2:26380/on-sale/3?sentinel_username=watch&sentinel_password=a%26b";
        let Ok(Address::Sentinel {
            sentinels,
            master,
            login: nodes_login,
            database,
        }) = Address::parse(url)
        else {
            panic!("{url} is no master");
        };
        assert!(!sentinels.tls);
        assert_eq!(sentinels.nodes, [node("s1", 26379), node("s2", 26380)]);
        assert_eq!(sentinels.login, login(Some("watch"), Some("a&b")));
        assert_eq!((master.as_str(), database), ("on-sale", 3));
        assert_eq!(nodes_login, login(None, Some("secret")));
    }

    #[test]
    fn one_server_is_left_to_the_client() {
        for url in ["redis://h", "rediss://u:p@h:1/2", "unix:///run/redis.sock"] {
            assert!(matches!(Address::parse(url), Ok(Address::Server(same)) if same == url));
        }
    }

    #[test]
    fn lists_of_urls_must_agree() {
        let urls =
            |all: &[&str]| -> Vec<String> { all.iter().map(|&url| url.to_owned()).collect() };
        let Ok(Address::Cluster(nodes)) =
            Address::cluster_of(&urls(&["redis://:p@a:1", "redis://b"]))
        else {
            panic!("refused");
        };
        assert_eq!(nodes.nodes, [node("a", 1), node("b", 6379)]);
        assert_eq!(nodes.login, login(None, Some("p")));
        for (list, part) in [
            (vec![], "0 URLs"),
            (vec!["redis://a", "rediss://b"], "URL 2: some URLs are TLS"),
            (vec!["redis://:p@a", "redis://:q@b"], "URL 2: its login"),
            (vec!["redis://a/1"], "URL 1: more than"),
            (
                vec!["redis+cluster://a"],
                "URL 1: the scheme \"redis+cluster\"",
            ),
        ] {
            let why = Address::cluster_of(&urls(&list)).err().unwrap_or_default();
            assert!(why.contains(part), "{list:?}: {why}");
        }
        assert!(Address::sentinel_of(&urls(&["redis://a"]), "").is_err());
    }

    #[test]
    fn a_refusal_names_the_wrong_part_and_never_the_password() {
        for (url, part) in [
            ("h:6379", "no scheme"),
            ("hunter2@h://x", "no scheme"),
            ("http://:hunter2@h", "the scheme \"http\""),
            ("redis://:hunter2@a,b", "redis+cluster or redis+sentinel"),
            (
                "redis+cluster://:hunter2@a:1,b:x",
                "the port \"x\" of host 2",
            ),
            ("redis+cluster://:hunter2@a:0", "the port \"0\" of host 1"),
            ("redis+cluster://:hunter2@a,,b", "host 2 is empty"),
            ("redis+cluster://:hunter2@", "host 1 is empty"),
            ("redis+cluster://:hunter2@a/1", "no database but 0"),
            ("redis+cluster://:hunter2@a?x=1", "the parameter \"x\""),
            ("redis+cluster://u:hunter2/x@a", "percent-encoded"),
            (
                "redis+sentinel://:hunter2@a",
                "the master's name is missing",
            ),
            ("redis+sentinel://:hunter2@a/m/x", "the database \"x\""),
            (
                "redis+sentinel://a/m?sentinel_pass=hunter2",
                "the parameter \"sentinel_pass\"",
            ),
            (
                "redis+sentinel://:hunter2%ff@a/m",
                "the password is not UTF-8",
            ),
        ] {
            let why = refusal(url);
            assert!(why.contains(part), "{url}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
