//! Verbs on Consul's tables.
//!
//! Changes:
//! - `kv set k v [flags=7]`, `kv cas k v index=3`, `kv acquire k v session=1`,
//!   `kv release k v session=1`, `kv delete k`, `kv delete_cas k index=3`,
//!   `kv delete_tree a/`
//! - `txn ; kv set k v ; kv get k ; kv get_tree a/ ; kv check_not_exists k`
//! - `register n [id=…] [address=…] ; service web [id=…] [port=80] ; health c passing [service=web]`
//! - `deregister n [service=web] [health=c]`
//! - `consul_session 1 node=n [delay_ms=15000] [health=c] [delete]`, `consul_destroy 1`
//!
//! Questions: `keys a/`, `instances web`, `indexes [key=k] [prefix=a/] [service=web] [node=n]`.

use bytes::Bytes;
use coord_state::Command;
use coord_state::consul::{
    CheckStatus, ConsulCommand, ConsulReply, ConsulSessionId, KvEntry, KvOp, NewCheck, NewNode,
    NewService, NewSession, Registration, SessionBehavior, TxnOp, TxnResult,
};

use super::line::number;
use super::{Line, Verb, World};

/// The verbs of this area.
pub(crate) fn verb(name: &str) -> Option<Verb> {
    Some(match name {
        "kv" => kv,
        "txn" => txn,
        "register" => register,
        "deregister" => deregister,
        "consul_session" => session,
        "consul_destroy" => destroy,
        "keys" => keys,
        "instances" => instances,
        "indexes" => indexes,
        _ => return None,
    })
}

/// One of Consul's answers, as scripts show it.
pub(crate) fn reply_text(reply: &ConsulReply) -> String {
    match reply {
        ConsulReply::Bool(done) => done.to_string(),
        ConsulReply::Txn(Ok(results)) => results
            .iter()
            .fold("txn".to_owned(), |text, result| format!("{text}\n   - {}", result_text(result))),
        ConsulReply::Txn(Err(errors)) => {
            errors.iter().fold("txn failed".to_owned(), |text, error| {
                format!("{text}\n   - {}: {}", error.op_index, error.what)
            })
        }
    }
}

fn result_text(result: &TxnResult) -> String {
    match result {
        TxnResult::Kv { key, entry, with_value } => entry_text(key, entry, *with_value),
        TxnResult::Node(node) => format!("node {}", node.name),
        TxnResult::Service(service) => format!("service {} on {}", service.id, service.node),
        TxnResult::Check(check) => format!("check {} on {}", check.id, check.node),
    }
}

fn entry_text(key: &Bytes, entry: &KvEntry, with_value: bool) -> String {
    let value = if with_value { format!("={:?}", entry.value) } else { String::new() };
    let holder = entry.session.map(|session| format!(" held by {}", session.0)).unwrap_or_default();
    format!(
        "{key:?}{value} flags={} lock={}{holder} created={} modified={}",
        entry.flags, entry.lock_index, entry.create_index, entry.modify_index
    )
}

// ---- keys ----

fn kv(world: &mut World, line: &mut Line) -> Result<(), String> {
    match key_op(line)? {
        TxnOp::Kv(op) => world.apply(Command::Consul(ConsulCommand::Kv(op))),
        _ => Err("only a transaction does this".into()),
    }
}

fn txn(world: &mut World, line: &mut Line) -> Result<(), String> {
    let mut ops = Vec::new();
    for mut part in line.parts() {
        ops.push(key_op(&mut part)?);
        part.finish()?;
    }
    world.apply(Command::Consul(ConsulCommand::Txn(ops)))
}

fn key_op(line: &mut Line) -> Result<TxnOp, String> {
    let verb = line.argument("an operation")?;
    let key = Bytes::from(line.argument("a key")?);
    let flags = line.number("flags")?.unwrap_or(0);
    let index = line.number("index")?.unwrap_or(0);
    let session = ConsulSessionId(line.number("session")?.unwrap_or(0));
    let mut value = || line.argument("a value").map(Bytes::from);
    Ok(match &*verb {
        "set" => TxnOp::Kv(KvOp::Set { key, value: value()?, flags }),
        "cas" => TxnOp::Kv(KvOp::Cas { key, value: value()?, flags, index }),
        "acquire" => TxnOp::Kv(KvOp::Acquire { key, value: value()?, flags, session }),
        "release" => TxnOp::Kv(KvOp::Release { key, value: value()?, flags, session }),
        "delete" => TxnOp::Kv(KvOp::Delete { key }),
        "delete_cas" => TxnOp::Kv(KvOp::DeleteCas { key, index }),
        "delete_tree" => TxnOp::Kv(KvOp::DeleteTree { prefix: key }),
        "get" => TxnOp::Get { key },
        "get_or_empty" => TxnOp::GetOrEmpty { key },
        "get_tree" => TxnOp::GetTree { prefix: key },
        "check_index" => TxnOp::CheckIndex { key, index },
        "check_session" => TxnOp::CheckSession { key, session },
        "check_holder" => {
            let holder = line.number("session")?.map(|holder| ConsulSessionId(holder).to_string());
            TxnOp::CheckHolder { key, holder: holder.unwrap_or_default().into() }
        }
        "check_not_exists" => TxnOp::CheckNotExists { key },
        other => return Err(format!("no operation `{other}` on keys")),
    })
}

fn keys(world: &mut World, line: &mut Line) -> Result<(), String> {
    let prefix = line.maybe_argument().unwrap_or_default();
    let kv = world.machine.consul().kv();
    let lines: Vec<_> =
        kv.range(prefix.as_bytes()).map(|(key, entry)| entry_text(key, entry, true)).collect();
    lines.iter().for_each(|line| world.say(line));
    if lines.is_empty() {
        world.say("no keys");
    }
    Ok(())
}

// ---- catalog ----

fn register(world: &mut World, line: &mut Line) -> Result<(), String> {
    let node = NewNode {
        name: line.argument("a node")?.into(),
        id: line.option("id").unwrap_or_default().into(),
        address: line.option("address").unwrap_or_else(|| "10.0.0.1".into()).into(),
        ..NewNode::default()
    };
    let mut registration =
        Registration { node, skip_node_update: false, services: Vec::new(), checks: Vec::new() };
    for mut part in line.parts() {
        let name = part.argument("a name")?.into();
        match part.verb() {
            "service" => registration.services.push(NewService {
                id: part.option("id").unwrap_or_default().into(),
                name,
                port: part.number("port")?.unwrap_or(0),
                ..NewService::default()
            }),
            "health" => {
                let status = part.argument("a status")?;
                registration.checks.push(NewCheck {
                    name,
                    status: CheckStatus::from_name(&status).ok_or("no such status")?,
                    service_id: part.option("service").unwrap_or_default().into(),
                    ..NewCheck::default()
                });
            }
            other => return Err(format!("a registration has no `{other}`")),
        }
        part.finish()?;
    }
    world.apply(Command::Consul(ConsulCommand::Register(Box::new(registration))))
}

fn deregister(world: &mut World, line: &mut Line) -> Result<(), String> {
    world.apply(Command::Consul(ConsulCommand::Deregister {
        node: line.argument("a node")?.into(),
        service_id: line.option("service").map(Into::into),
        check_id: line.option("health").map(Into::into),
    }))
}

fn instances(world: &mut World, line: &mut Line) -> Result<(), String> {
    let name = line.argument("a service")?;
    let mut lines = Vec::new();
    for instance in world.machine.consul().catalog().instances(&name) {
        let checks: Vec<_> = instance
            .checks()
            .map(|check| format!("{} {}", check.id, check.status.as_str()))
            .collect();
        let (node, service) = (&instance.node().name, &instance.service().id);
        lines.push(format!("{service} on {node}: [{}]", checks.join(", ")));
    }
    lines.iter().for_each(|line| world.say(line));
    if lines.is_empty() {
        world.say("no instances");
    }
    Ok(())
}

fn indexes(world: &mut World, line: &mut Line) -> Result<(), String> {
    let consul = world.machine.consul();
    let (kv, catalog) = (consul.kv(), consul.catalog());
    let mut text = format!(
        "keys={} nodes={} services={} checks={} sessions={}",
        kv.index(),
        catalog.nodes_index(),
        catalog.services_index(),
        catalog.checks_index(),
        consul.sessions().index()
    );
    if let Some(key) = line.option("key") {
        text += &format!(" key {key}={}", kv.key_index(key.as_bytes()));
    }
    if let Some(prefix) = line.option("prefix") {
        text += &format!(" prefix {prefix}={}", kv.prefix_index(prefix.as_bytes()));
    }
    if let Some(service) = line.option("service") {
        text += &format!(" service {service}={}", catalog.service_index(&service));
    }
    if let Some(node) = line.option("node") {
        text += &format!(" node {node}={}", catalog.node_index(&node));
    }
    world.say(&text);
    Ok(())
}

// ---- sessions ----

fn session(world: &mut World, line: &mut Line) -> Result<(), String> {
    let behavior =
        if line.word("delete") { SessionBehavior::Delete } else { SessionBehavior::Release };
    let session = NewSession {
        id: ConsulSessionId(number(&line.argument("a session")?)?),
        name: "".into(),
        node: line.option("node").ok_or("a session needs a node")?.into(),
        lock_delay_ns: line.number::<i64>("delay_ms")?.unwrap_or(0) * 1_000_000,
        behavior,
        ttl: "".into(),
        ttl_ms: 0,
        node_checks: line.option("health").into_iter().map(Into::into).collect(),
        service_checks: None,
    };
    world.apply(Command::Consul(ConsulCommand::CreateSession(Box::new(session))))
}

fn destroy(world: &mut World, line: &mut Line) -> Result<(), String> {
    let session = ConsulSessionId(number(&line.argument("a session")?)?);
    world.apply(Command::Consul(ConsulCommand::DestroySession { session }))
}
