//! What is asked of Redis: a script with its keys and arguments, or a plain command.
//!
//! The same for the queue's own verbs and for another crate that keeps its data in the same Redis.

use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, ErrorKind, Pipeline, RedisError, Script, ServerErrorKind, Value, cmd};

/// The text of a Lua script, and the hash by which a server knows it.
///
/// It is made once and lives for ever:
///
/// ```
/// use std::sync::LazyLock;
/// use ticketon_queue::redis::RedisScript;
///
/// static ADD: LazyLock<RedisScript> =
///     LazyLock::new(|| RedisScript::new("return redis.call('INCRBY', KEYS[1], ARGV[1])"));
/// ```
#[derive(Debug)]
pub struct RedisScript {
    text: String,
    hash: String,
}

impl RedisScript {
    /// A script with this text.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            hash: Script::new(&text).get_hash().to_owned(),
            text,
        }
    }

    /// The text, as servers run it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// One call of Redis: a script or a command, its keys and its arguments.
///
/// All keys of one call must be in one slot of a cluster: spell them with the same `{tag}`. A script must
/// get every key that it touches as a key.
///
/// A call may be sent again after its answer was lost in a failover, so it must have the same effect
/// twice as once.
///
/// Scripts are not run by the client's own `ScriptInvocation`: that answers a missing script by loading it
/// at every master of a cluster, and so fails in all slots while one master is down.
#[derive(Debug, Clone)]
pub struct RedisCall {
    what: What,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Script(&'static RedisScript),
    Command(&'static str),
}

impl RedisCall {
    /// A run of a script. The server is sent its text when it lacks it.
    #[must_use]
    pub fn script(script: &'static RedisScript) -> Self {
        Self::of(What::Script(script))
    }

    /// A plain command of one word, such as `GETRANGE`. Keys and arguments follow it in the order in which
    /// they are added, so both ways to add one are the same.
    #[must_use]
    pub fn command(name: &'static str) -> Self {
        Self::of(What::Command(name))
    }

    fn of(what: What) -> Self {
        Self {
            what,
            keys: Vec::new(),
            args: Vec::new(),
        }
    }

    /// Adds a key.
    pub fn key(&mut self, key: impl AsRef<[u8]>) -> &mut Self {
        let to = match self.what {
            What::Script(_) => &mut self.keys,
            What::Command(_) => &mut self.args,
        };
        to.push(key.as_ref().to_vec());
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<[u8]>) -> &mut Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    /// Adds a whole number as an argument, as Redis spells it.
    pub fn arg_int(&mut self, number: impl Into<i128>) -> &mut Self {
        self.arg(number.into().to_string())
    }

    /// Asks once. A server that lacks the script is sent its text.
    pub(super) async fn send(
        &self,
        connection: &mut (impl ConnectionLike + Send),
    ) -> Result<Value, RedisError> {
        match self.packed(Form::Known).query_async(connection).await {
            Err(error) if is_unknown_script(&error) => {
                self.packed(Form::Whole).query_async(connection).await
            }
            answer => answer,
        }
    }

    fn packed(&self, form: Form) -> Cmd {
        let mut command = match self.what {
            What::Command(name) => cmd(name),
            What::Script(script) => {
                let mut command = match form {
                    Form::Known => cmd("EVALSHA"),
                    Form::Whole => cmd("EVAL"),
                };
                let text = match form {
                    Form::Known => &script.hash,
                    Form::Whole => &script.text,
                };
                command.arg(text).arg(self.keys.len()).arg(&self.keys);
                command
            }
        };
        command.arg(&self.args);
        command
    }
}

/// How a script is named to the server.
#[derive(Debug, Clone, Copy)]
enum Form {
    Known,
    Whole,
}

/// Asks several things of one slot in one round trip. When the server lacks a script, all are asked again.
pub(super) async fn send_all(
    calls: &[RedisCall],
    connection: &mut (impl ConnectionLike + Send),
) -> Result<Vec<Value>, RedisError> {
    match send_pipeline(calls, Form::Known, connection).await {
        Err(error) if is_unknown_script(&error) => {
            send_pipeline(calls, Form::Whole, connection).await
        }
        answers => answers,
    }
}

async fn send_pipeline(
    calls: &[RedisCall],
    form: Form,
    connection: &mut (impl ConnectionLike + Send),
) -> Result<Vec<Value>, RedisError> {
    let mut pipeline = Pipeline::with_capacity(calls.len());
    for call in calls {
        pipeline.add_command(call.packed(form));
    }
    let answers = connection.req_packed_commands(&pipeline, 0, calls.len());
    answers
        .await?
        .into_iter()
        .map(Value::extract_error)
        .collect()
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static SCRIPT: LazyLock<RedisScript> = LazyLock::new(|| RedisScript::new("return 1"));

    fn sent(call: &RedisCall, form: Form) -> String {
        String::from_utf8(call.packed(form).get_packed_command())
            .unwrap()
            .replace("\r\n", " ")
    }

    #[test]
    fn a_script_is_named_with_its_keys_before_its_arguments() {
        let mut call = RedisCall::script(&SCRIPT);
        call.arg("x").key("{a}").arg_int(u64::MAX).key("{a}b");
        let hash = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
        assert_eq!(
            sent(&call, Form::Known),
            format!(
                "*7 $7 EVALSHA $40 {hash} $1 2 $3 {{a}} $4 {{a}}b $1 x $20 18446744073709551615 "
            )
        );
        assert!(sent(&call, Form::Whole).starts_with("*7 $4 EVAL $8 return 1 $1 2 $3 {a} "));
    }

    #[test]
    fn a_command_keeps_the_order_of_its_parts() {
        let mut call = RedisCall::command("GETRANGE");
        call.key("k").arg_int(0).arg_int(-1);
        assert_eq!(sent(&call, Form::Known), "*4 $8 GETRANGE $1 k $1 0 $2 -1 ");
    }
}
