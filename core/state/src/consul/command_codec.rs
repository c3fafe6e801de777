//! The stored form of Consul commands.
//!
//! ```text
//! u8 version | u8 command | fields…        an operation: u8 verb | fields…
//! ```
//!
//! Verbs and the order of fields never change; new verbs get new numbers, a new
//! layout a new version. Services with dependencies have their own verb, so
//! that the encoding of others is unchanged.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{CodecError, Decode, Encode, Input};
use crate::consul::{
    AutopilotSettings, ConsulCommand, KvOp, NewCheck, NewConfigEntry, NewIntention, NewNode,
    NewQuery, NewService, NewSession, Registration, TxnOp,
};

const VERSION: u8 = 1;

crate::record!(Registration { node, skip_node_update, services, checks });
crate::record!(NewNode { name, id, address, datacenter, tagged_addresses, meta });
crate::record!(NewService {
    id,
    name,
    tags,
    address,
    tagged_addresses,
    meta,
    port,
    weights,
    enable_tag_override,
    kind,
    socket_path,
    proxy,
    connect,
} beside { depends_on });
crate::record!(NewCheck {
    id,
    name,
    status,
    notes,
    output,
    service_id,
    kind,
    interval,
    timeout,
    definition,
});
crate::record!(NewConfigEntry { kind, name, definition });
crate::record!(NewIntention { id, source, destination, definition });
crate::record!(NewQuery { id, name, template, session, definition });
crate::record!(NewSession {
    id,
    name,
    node,
    lock_delay_ns,
    behavior,
    ttl,
    ttl_ms,
    node_checks,
    service_checks,
});

/// Implements both directions of an enum from one table of verbs.
macro_rules! verbs {
    (
        $name:ident, $what:literal,
        wraps { $($wrap_tag:literal => $wrapper:ident),* $(,)? }
        $($tag:literal => $variant:ident { $($field:ident),* }),* $(,)?
    ) => {
        impl $name {
            fn encode_verb(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$wrapper(inner) => {
                        out.push($wrap_tag);
                        inner.encode(out);
                    })*
                    $(Self::$variant { $($field),* } => {
                        out.push($tag);
                        $($field.encode(out);)*
                    })*
                }
            }

            fn decode_verb(tag: u8, input: &mut Input) -> Result<Self, CodecError> {
                Ok(match tag {
                    $($wrap_tag => Self::$wrapper(Decode::decode(input)?),)*
                    $($tag => Self::$variant { $($field: Decode::decode(input)?),* },)*
                    tag => return Err(CodecError::UnknownTag { what: $what, tag: tag.into() }),
                })
            }
        }
    };
}

verbs! {
    ConsulCommand, "Consul command",
    wraps { 0 => Kv, 1 => Txn, 2 => Register, 4 => CreateSession, 16 => UpdateCoordinates }
    3 => Deregister { node, service_id, check_id },
    5 => DestroySession { session },
    6 => SetQuery { query, create },
    7 => DeleteQuery { query },
    17 => SetAutopilot { settings, cas },
    18 => SetConfigEntry { entry, cas },
    19 => DeleteConfigEntry { kind, name, cas },
    20 => SetIntention { intention, create },
    21 => DeleteIntention { intention },
}

verbs! {
    KvOp, "key verb",
    wraps {}
    0 => Set { key, value, flags },
    1 => Cas { key, value, flags, index },
    2 => Acquire { key, value, flags, session },
    3 => Release { key, value, flags, session },
    4 => Delete { key },
    5 => DeleteCas { key, index },
    6 => DeleteTree { prefix },
}

verbs! {
    TxnOp, "transaction verb",
    wraps { 0 => Kv }
    1 => Get { key },
    2 => GetOrEmpty { key },
    3 => GetTree { prefix },
    4 => CheckIndex { key, index },
    5 => CheckSession { key, session },
    6 => CheckNotExists { key },
    7 => NodeSet { node, cas },
    8 => NodeGet { node },
    9 => NodeDelete { node, cas },
    10 => ServiceSet { node, service, cas },
    11 => ServiceGet { node, service_id },
    12 => ServiceDelete { node, service_id, cas },
    13 => CheckSet { node, check, cas },
    14 => CheckGet { node, check_id },
    15 => CheckDelete { node, check_id, cas },
    16 => CheckHolder { key, holder },
    17 => Fail { what },
}

/// A command or operation on services of which some depend on others: as
/// without, and behind that what each depends on.
const DEPENDING: u8 = 30;

impl Encode for ConsulCommand {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Register(registration) if depends(&registration.services) => {
                out.push(DEPENDING);
                registration.encode(out);
                registration.services.iter().for_each(|service| service.depends_on.encode(out));
            }
            _ => self.encode_verb(out),
        }
    }
}

fn depends(services: &[NewService]) -> bool {
    services.iter().any(|service| !service.depends_on.is_empty())
}

impl Decode for ConsulCommand {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            VERSION => match u8::decode(input)? {
                DEPENDING => {
                    let mut registration = Box::<Registration>::decode(input)?;
                    for service in &mut registration.services {
                        service.depends_on = Decode::decode(input)?;
                    }
                    Ok(Self::Register(registration))
                }
                verb => Self::decode_verb(verb, input),
            },
            tag => Err(CodecError::UnknownTag { what: "Consul command version", tag: tag.into() }),
        }
    }
}

impl Encode for KvOp {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_verb(out);
    }
}

impl Decode for KvOp {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Self::decode_verb(u8::decode(input)?, input)
    }
}

impl Encode for TxnOp {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ServiceSet { node, service, cas } if !service.depends_on.is_empty() => {
                out.push(DEPENDING);
                node.encode(out);
                service.encode(out);
                cas.encode(out);
                service.depends_on.encode(out);
            }
            _ => self.encode_verb(out),
        }
    }
}

impl Decode for TxnOp {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            DEPENDING => {
                let node = Decode::decode(input)?;
                let mut service = Box::<NewService>::decode(input)?;
                let cas = Decode::decode(input)?;
                service.depends_on = Decode::decode(input)?;
                Ok(Self::ServiceSet { node, service, cas })
            }
            verb => Self::decode_verb(verb, input),
        }
    }
}

macro_rules! boxed {
    ($($inner:ty),*) => {$(
        impl Encode for Box<$inner> {
            fn encode(&self, out: &mut Vec<u8>) {
                self.as_ref().encode(out);
            }
        }

        impl Decode for Box<$inner> {
            fn decode(input: &mut Input) -> Result<Self, CodecError> {
                <$inner>::decode(input).map(Self::new)
            }
        }
    )*};
}

boxed!(
    Registration,
    NewService,
    NewCheck,
    NewSession,
    NewQuery,
    NewConfigEntry,
    NewIntention,
    AutopilotSettings
);
