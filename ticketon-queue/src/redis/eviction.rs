//! Whether a Redis may drop people from the line because its memory is full.

use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::{Cmd, FromRedisValue, RedisError, Value, cmd};

use super::connection::failed;
use super::dial::Connection;
use crate::error::StoreError;

/// The only policy under which Redis never drops a place by itself.
const SAFE_POLICY: &str = "noeviction";

/// Refuses a Redis of which any master may evict keys.
pub(super) async fn refuse_eviction(connection: &mut Connection) -> Result<(), StoreError> {
    let policies = match configured(connection).await {
        Some(policies) => policies,
        None => {
            tracing::warn!(
                target: "ticketon::store",
                "Redis refuses CONFIG GET maxmemory-policy; INFO memory is asked instead"
            );
            reported(connection).await?
        }
    };
    for (master, policy) in policies {
        if policy != SAFE_POLICY {
            return Err(StoreError::Unsafe {
                detail: format!(
                    "maxmemory-policy{master} is {policy:?}, so Redis may drop people from the line; set maxmemory-policy to {SAFE_POLICY}"
                ),
            });
        }
    }
    Ok(())
}

/// The policy of each master; `None` when the command is forbidden, as with managed servers.
async fn configured(connection: &mut Connection) -> Option<Vec<(String, String)>> {
    let mut command = cmd("CONFIG");
    command.arg("GET").arg("maxmemory-policy");
    let mut policies = Vec::new();
    for (master, reply) in ask_masters(connection, command).await.ok()? {
        let pairs = Vec::<(String, String)>::from_redis_value(reply).ok()?;
        policies.push((master, pairs.into_iter().next()?.1));
    }
    Some(policies)
}

async fn reported(connection: &mut Connection) -> Result<Vec<(String, String)>, StoreError> {
    const CONTEXT: &str = "asking for the maxmemory-policy";
    let mut command = cmd("INFO");
    command.arg("memory");
    let replies = ask_masters(connection, command)
        .await
        .map_err(|error| failed(CONTEXT, error))?;
    let mut policies = Vec::new();
    for (master, reply) in replies {
        let info =
            String::from_redis_value(reply).map_err(|error| failed(CONTEXT, error.into()))?;
        let policy = info
            .lines()
            .find_map(|line| line.strip_prefix("maxmemory_policy:"))
            .map(|policy| policy.trim().to_owned())
            .ok_or_else(|| StoreError::Unsafe {
                detail: format!(
                    "maxmemory-policy{master} cannot be read, neither by CONFIG GET nor in INFO memory; allow one of them and set it to {SAFE_POLICY}"
                ),
            })?;
        policies.push((master, policy));
    }
    Ok(policies)
}

/// Each master's answer, with words that name it when there are several.
async fn ask_masters(
    connection: &mut Connection,
    command: Cmd,
) -> Result<Vec<(String, Value)>, RedisError> {
    let Connection::Cluster(cluster) = connection else {
        let reply = command.query_async(connection).await?;
        return Ok(vec![(String::new(), reply)]);
    };
    let masters = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let Value::Map(replies) = cluster.route_command(command, masters).await? else {
        return Ok(Vec::new());
    };
    let named = |(node, reply): (Value, Value)| {
        let node = String::from_redis_value(node)?;
        Ok((format!(" of {node}"), reply.extract_error()?))
    };
    replies.into_iter().map(named).collect()
}
