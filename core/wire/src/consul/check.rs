//! Check definitions: several kinds, distinguished by the fields that are set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::{DecodeError, Fields};

/// The definition of one check of an agent. Durations are nanoseconds.
///
/// Also the form in which the agent keeps it on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckDefinition {
    /// Unique on the agent; empty means a default.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub notes: String,
    /// The service it belongs to, or empty.
    pub service_id: String,
    /// What to begin with; empty means critical.
    pub status: String,
    /// Kept for whoever registers.
    pub token: String,
    /// A TTL check's time to live.
    pub ttl_ns: i64,
    /// How often to probe.
    pub interval_ns: i64,
    /// How long to wait for a probe.
    pub timeout_ns: i64,
    /// Remove the service after it was critical for so long; 0 means never.
    pub deregister_critical_service_after_ns: i64,
    /// HTTP: the URL.
    pub http: String,
    /// HTTP: default GET.
    pub method: String,
    /// HTTP: sent along.
    pub header: BTreeMap<String, Vec<String>>,
    /// HTTP: sent along.
    pub body: String,
    /// HTTP: whether redirects are left alone.
    pub disable_redirects: bool,
    /// HTTP and gRPC: do not verify the certificate.
    pub tls_skip_verify: bool,
    /// HTTP and gRPC: the name to verify.
    pub tls_server_name: String,
    /// TCP: `host:port`.
    pub tcp: String,
    /// TCP: whether to speak TLS.
    pub tcp_use_tls: bool,
    /// UDP: `host:port`.
    pub udp: String,
    /// gRPC: `host:port[/service]`.
    pub grpc: String,
    /// gRPC: whether to speak TLS.
    pub grpc_use_tls: bool,
    /// HTTP/2 ping: `host:port`.
    pub h2ping: String,
    /// HTTP/2 ping: whether to speak TLS; default yes.
    pub h2ping_use_tls: Option<bool>,
    /// Script: the command.
    pub args: Vec<String>,
    /// Docker: the container.
    pub docker_container_id: String,
    /// Docker: the shell in it.
    pub shell: String,
    /// Alias: the service whose health to take.
    pub alias_service: String,
    /// Alias: the node whose health to take.
    pub alias_node: String,
    /// An operating system's service.
    pub os_service: String,
    /// Passing results in a row before the check passes.
    pub success_before_passing: i64,
    /// Failures in a row before the check warns.
    pub failures_before_warning: i64,
    /// Failures in a row before the check is critical.
    pub failures_before_critical: i64,
    /// How much output to keep; 0 means the default.
    pub output_max_size: i64,
}

impl CheckDefinition {
    /// Reads a check, alone or inside a service.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn take(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, "structs.CheckDefinition")?;
        let check_id = fields.string("CheckID")?;
        let id = fields.string("ID")?;
        let script = fields.string("Script")?;
        let script_args = fields.strings("ScriptArgs")?;
        let mut definition = Self {
            id: if check_id.is_empty() { id } else { check_id },
            name: fields.string("Name")?,
            notes: fields.string("Notes")?,
            service_id: fields.string("ServiceID")?,
            status: fields.string("Status")?,
            token: fields.string("Token")?,
            ttl_ns: fields.duration("TTL")?,
            interval_ns: fields.duration("Interval")?,
            timeout_ns: fields.duration("Timeout")?,
            deregister_critical_service_after_ns: fields
                .duration("DeregisterCriticalServiceAfter")?,
            http: fields.string("HTTP")?,
            method: fields.string("Method")?,
            header: header(&mut fields)?,
            body: fields.string("Body")?,
            disable_redirects: fields.bool("DisableRedirects")?,
            tls_skip_verify: fields.bool("TLSSkipVerify")?,
            tls_server_name: fields.string("TLSServerName")?,
            tcp: fields.string("TCP")?,
            tcp_use_tls: fields.bool("TCPUseTLS")?,
            udp: fields.string("UDP")?,
            grpc: fields.string("GRPC")?,
            grpc_use_tls: fields.bool("GRPCUseTLS")?,
            h2ping: fields.string("H2PING")?,
            h2ping_use_tls: None,
            args: fields.strings("Args")?.or(script_args).unwrap_or_default(),
            docker_container_id: fields.string("DockerContainerID")?,
            shell: fields.string("Shell")?,
            alias_service: fields.string("AliasService")?,
            alias_node: fields.string("AliasNode")?,
            os_service: fields.string("OSService")?,
            success_before_passing: fields.integer("SuccessBeforePassing")?.unwrap_or(0),
            failures_before_warning: fields.integer("FailuresBeforeWarning")?.unwrap_or(0),
            failures_before_critical: fields.integer("FailuresBeforeCritical")?.unwrap_or(0),
            output_max_size: fields.integer("OutputMaxSize")?.unwrap_or(0),
        };
        if let Some(value) = fields.value("H2PingUseTLS") {
            definition.h2ping_use_tls = Some(value != Value::Bool(false));
        }
        if definition.args.is_empty() && !script.is_empty() {
            definition.args = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        }
        for name in ["ProxyHTTP", "ExposedPort"] {
            fields.raw(name);
        }
        fields.take_scope()?;
        fields.finish()?;
        Ok(definition)
    }

    /// `ttl`, `http`, …, as health answers print it; empty if it is none.
    pub fn kind(&self) -> &'static str {
        let kinds = [
            (!self.alias_node.is_empty() || !self.alias_service.is_empty(), "alias"),
            (!self.docker_container_id.is_empty(), "docker"),
            (!self.args.is_empty(), "script"),
            (!self.http.is_empty(), "http"),
            (!self.tcp.is_empty(), "tcp"),
            (!self.udp.is_empty(), "udp"),
            (!self.grpc.is_empty(), "grpc"),
            (!self.h2ping.is_empty(), "h2ping"),
            (!self.os_service.is_empty(), "os_service"),
            (self.ttl_ns > 0, "ttl"),
        ];
        kinds.iter().find(|(set, _)| *set).map_or("", |(_, kind)| kind)
    }

    /// Whether it is the check of an empty definition, which only a service may carry.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// HTTP headers: each a list of values.
pub(super) fn header(fields: &mut Fields) -> Result<BTreeMap<String, Vec<String>>, DecodeError> {
    let Some(map) = fields.object("Header")? else { return Ok(BTreeMap::new()) };
    map.into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, vec![text])),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(DecodeError::new(format!(
                        "json: cannot unmarshal {other} into Go struct field .Header of type string"
                    ))),
                })
                .collect::<Result<_, _>>()
                .map(|values| (name, values)),
            other => Err(DecodeError::new(format!(
                "json: cannot unmarshal {other} into Go struct field .Header of type []string"
            ))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_check_with_lower_case_keys_is_understood() {
        let check = CheckDefinition::take(serde_json::json!({
            "http": "http://127.0.0.1/", "interval": "10s", "timeout": "2s",
            "header": {"X": ["1"]}, "tls_skip_verify": true,
            "DeregisterCriticalServiceAfter": "90s"
        }))
        .unwrap();
        assert_eq!(check.kind(), "http");
        assert_eq!(check.interval_ns, 10_000_000_000);
        assert_eq!(check.deregister_critical_service_after_ns, 90_000_000_000);
        assert!(check.tls_skip_verify);
    }

    #[test]
    fn a_docker_check_keeps_its_script_as_a_shell_command() {
        let check = CheckDefinition::take(serde_json::json!({
            "docker_container_id": "abc", "shell": "/bin/bash", "script": "true", "interval": "1s"
        }))
        .unwrap();
        assert_eq!(check.kind(), "docker");
        assert_eq!(check.args, ["/bin/sh", "-c", "true"]);
    }

    #[test]
    fn an_unknown_field_in_a_check_is_named() {
        let error = CheckDefinition::take(serde_json::json!({"bogus": 1})).unwrap_err();
        assert_eq!(error.to_string(), "json: unknown field \"bogus\"");
    }

    #[test]
    fn a_definition_survives_being_kept() {
        let check =
            CheckDefinition::take(serde_json::json!({"TTL": "10s", "ID": "c", "Name": "C"}))
                .unwrap();
        let kept = serde_json::to_string(&check).unwrap();
        assert_eq!(serde_json::from_str::<CheckDefinition>(&kept).unwrap(), check);
    }
}
