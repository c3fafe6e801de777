//! `/v1/agent/host`: the machine, as reported by Linux.
//!
//! Unknown fields are left out; those that cannot be read are listed in
//! `Errors`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::Answer;
use crate::server::consul::http::call::Call;

impl ConsulApi {
    /// Reads files of a few lines in `/proc`: nothing of it waits for a disk.
    pub(crate) fn agent_host(&self, call: &Call) -> Answer {
        let mut errors = Vec::new();
        let mut section = |name: &str, read: Result<Value, String>| {
            read.unwrap_or_else(|error| {
                errors.push(format!("{name}: {error}"));
                Value::Null
            })
        };
        let answer = json!({
            "Memory": section("memory", memory()),
            "CPU": section("cpu", processors()),
            "Host": section("host", host()),
            "Disk": section("disk", disk(&self.node.settings().data_dir)),
            "CollectionTime": self.node.clock().wall_ms().saturating_mul(1_000_000),
            "Errors": if errors.is_empty() { Value::Null } else { json!(errors) },
        });
        Answer::json(&answer, call.pretty())
    }
}

fn file(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// Lines of `name: value`.
fn table(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.trim(), value.trim())).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a percentage may round past 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn memory() -> Result<Value, String> {
    let text = file("/proc/meminfo")?;
    let table = table(&text);
    let bytes = |name: &str| {
        let kib = table.get(name).and_then(|value| value.split(' ').next());
        kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let (total, available) = (bytes("MemTotal"), bytes("MemAvailable"));
    let used = total.saturating_sub(available);
    Ok(json!({
        "total": total, "available": available, "used": used,
        "usedPercent": percent(used, total),
        "free": bytes("MemFree"), "active": bytes("Active"), "inactive": bytes("Inactive"),
        "buffers": bytes("Buffers"), "cached": bytes("Cached"),
        "shared": bytes("Shmem"), "slab": bytes("Slab"),
        "swaptotal": bytes("SwapTotal"), "swapfree": bytes("SwapFree"),
    }))
}

fn processors() -> Result<Value, String> {
    let text = file("/proc/cpuinfo")?;
    let blocks = text.split("\n\n").map(table).filter(|table| table.contains_key("processor"));
    let processors = blocks.map(|table| {
        let text = |name: &str| table.get(name).copied().unwrap_or_default();
        let number = |name: &str| text(name).parse::<f64>().unwrap_or(0.0);
        json!({
            "cpu": text("processor").parse::<u64>().unwrap_or(0),
            "vendorId": text("vendor_id"), "family": text("cpu family"), "model": text("model"),
            "stepping": text("stepping").parse::<u64>().unwrap_or(0),
            "physicalId": text("physical id"), "coreId": text("core id"), "cores": 1,
            "modelName": text("model name"), "mhz": number("cpu MHz"),
            "cacheSize": number("cache size"),
            "flags": text("flags").split_whitespace().collect::<Vec<_>>(),
            "microcode": text("microcode"),
        })
    });
    Ok(Value::Array(processors.collect()))
}

fn host() -> Result<Value, String> {
    let uptime = file("/proc/uptime")?;
    let uptime = uptime.split('.').next().and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let stat = file("/proc/stat")?;
    let counter = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let processes = fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten();
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes = processes.filter(|entry| entry.file_name().to_str().is_some_and(is_process));
    let release = file("/etc/os-release").unwrap_or_default();
    let of_release = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let line = |path: &str| file(path).unwrap_or_default().trim().to_owned();
    Ok(json!({
        "hostname": line("/proc/sys/kernel/hostname"),
        "uptime": uptime, "bootTime": counter("btime "), "procs": processes.count(),
        "os": std::env::consts::OS, "platform": of_release("ID"),
        "platformFamily": of_release("ID_LIKE"), "platformVersion": of_release("VERSION_ID"),
        "kernelVersion": line("/proc/sys/kernel/osrelease"),
        "kernelArch": std::env::consts::ARCH,
        "virtualizationSystem": "", "virtualizationRole": "",
        "hostid": line("/proc/sys/kernel/random/boot_id"),
    }))
}

fn disk(directory: &std::path::Path) -> Result<Value, String> {
    let stat = rustix::fs::statvfs(directory).map_err(|error| error.to_string())?;
    let (total, free) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
    let used = (stat.f_blocks - stat.f_bfree.min(stat.f_blocks)) * stat.f_frsize;
    let inodes_used = stat.f_files - stat.f_ffree.min(stat.f_files);
    Ok(json!({
        "path": directory, "total": total, "free": free, "used": used,
        "usedPercent": percent(used, used + free),
        "inodesTotal": stat.f_files, "inodesUsed": inodes_used, "inodesFree": stat.f_ffree,
        "inodesUsedPercent": percent(inodes_used, stat.f_files),
    }))
}
