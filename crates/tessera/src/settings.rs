//! Server settings, read once: defaults, then one TOML file, then `TESSERA_*`, then flags. Unknown keys fail.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use tessera_mx::{MailServers, MxOptions};

use crate::output::Failure;

/// Everything a server can be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: ServerSettings,
    pub(crate) log: LogSettings,
    pub(crate) store: StoreSettings,
    pub(crate) pipeline: PipelineSettings,
    pub(crate) delivery: DeliverySettings,
    pub(crate) access: AccessSettings,
    pub(crate) governance: GovernanceSettings,
    pub(crate) lake: LakeSettings,
    pub(crate) quality: QualitySettings,
    pub(crate) contact: ContactSettings,
    pub(crate) query: QuerySettings,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) public_url: String,
    pub(crate) connections_max: usize,
    pub(crate) request_timeout_seconds: u64,
    pub(crate) in_flight_mib_max: u64,
    pub(crate) tls_certificate: String,
    pub(crate) tls_key: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSettings {
    pub(crate) segment_mib: u64,
    pub(crate) retention_hours: u64,
    pub(crate) retention_mib: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreSettings {
    pub(crate) cache_mib: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PipelineSettings {
    pub(crate) dedup_window_hours: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeliverySettings {
    pub(crate) give_up_after_hours: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessSettings {
    pub(crate) requests_per_second: u32,
    pub(crate) burst: u32,
    pub(crate) trusted_proxies: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GovernanceSettings {
    pub(crate) sweep_every_hours: u32,
    pub(crate) alerts_every_seconds: u32,
}

impl Default for GovernanceSettings {
    fn default() -> Self {
        Self { sweep_every_hours: 24, alerts_every_seconds: 60 }
    }
}

impl AccessSettings {
    /// The addresses in `trusted_proxies`.
    pub(crate) fn proxies(&self) -> anyhow::Result<Vec<IpAddr>> {
        let texts = self.trusted_proxies.split(',').map(str::trim).filter(|text| !text.is_empty());
        let parse = |text: &str| {
            text.parse().map(|address: IpAddr| address.to_canonical()).map_err(|_| {
                let what = format!("`{text}` in setting `access.trusted_proxies` is not an IP address");
                Failure::new("TES-C001", what, "name addresses, separated by commas: `10.0.0.1, 10.0.0.2`")
                    .into()
            })
        };
        texts.map(parse).collect()
    }
}

/// Audits of the data's quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QualitySettings {
    pub(crate) audit_every_hours: u32,
    pub(crate) fall_points: f64,
}

/// Asking others about contact data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ContactSettings {
    pub(crate) mx_lookup: bool,
    pub(crate) mx_servers: String,
    pub(crate) mx_timeout_millis: u64,
    pub(crate) mx_concurrent_max: usize,
}

impl Default for ContactSettings {
    fn default() -> Self {
        let MxOptions { timeout_millis, concurrent_max, .. } = MxOptions::default();
        Self {
            mx_lookup: false,
            mx_servers: String::new(),
            mx_timeout_millis: timeout_millis,
            mx_concurrent_max: concurrent_max,
        }
    }
}

impl ContactSettings {
    /// Who is asked whether domains take mail; `None`: that is switched off.
    pub(crate) fn mail_servers(&self) -> anyhow::Result<Option<MailServers>> {
        if !self.mx_lookup {
            return Ok(None);
        }
        let failed = |error: &tessera_mx::MxError| {
            Failure::new(
                "TES-C001",
                error.to_string(),
                "name servers in `contact.mx_servers`: `192.0.2.53:53`",
            )
        };
        MailServers::new(&self.options()?).map(Some).map_err(|error| failed(&error).into())
    }

    fn options(&self) -> anyhow::Result<MxOptions> {
        let texts = self.mx_servers.split(',').map(str::trim).filter(|text| !text.is_empty());
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                let what = format!("`{text}` in setting `contact.mx_servers` is not an address with a port");
                Failure::new("TES-C001", what, "name them with ports, separated by commas: `192.0.2.53:53`")
            })
        };
        Ok(MxOptions {
            servers: texts.map(parse).collect::<Result<_, _>>()?,
            timeout_millis: self.mx_timeout_millis,
            concurrent_max: self.mx_concurrent_max,
            ..MxOptions::default()
        })
    }
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self { audit_every_hours: 24, fall_points: 5.0 }
    }
}

/// The lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LakeSettings {
    pub(crate) flush_millis: u64,
    pub(crate) snapshots: bool,
    pub(crate) snapshot_days: u32,
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self { flush_millis: 2_000, snapshots: true, snapshot_days: 7 }
    }
}

/// Queries in SQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QuerySettings {
    pub(crate) timeout_seconds: u64,
    pub(crate) memory_mib: u64,
    pub(crate) spill_mib: u64,
    pub(crate) answer_mib: u64,
}

impl Default for QuerySettings {
    fn default() -> Self {
        Self { timeout_seconds: 60, memory_mib: 512, spill_mib: 16 * 1024, answer_mib: 64 }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            connections_max: 4096,
            request_timeout_seconds: 30,
            in_flight_mib_max: 64,
            tls_certificate: String::new(),
            tls_key: String::new(),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { segment_mib: 64, retention_hours: 90 * 24, retention_mib: 100 * 1024 }
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { cache_mib: 288 }
    }
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self { dedup_window_hours: 72 }
    }
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self { give_up_after_hours: 24 }
    }
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { requests_per_second: 100, burst: 200, trusted_proxies: String::new() }
    }
}

/// What each setting means, its unit, and what happens beyond it: the reference page is made from this, and a test
/// holds it against the types.
pub(crate) const REFERENCE: [(&str, &str); 31] = [
    (
        "server.listen",
        "Address and port to listen on. Loopback unless told otherwise: for the world, give it a certificate or put a proxy with TLS before it.",
    ),
    (
        "server.public_url",
        "How browsers reach the server (`https://events.example.com`); told to clients that ask for their settings. Empty: the `Host` of the request.",
    ),
    ("server.connections_max", "Most connections at once; more wait to be accepted."),
    ("server.request_timeout_seconds", "A request whose body takes longer is answered 408."),
    (
        "server.in_flight_mib_max",
        "Most MiB of requests on their way to the store; beyond it requests are answered 429 with `Retry-After`.",
    ),
    (
        "server.tls_certificate",
        "PEM file with the certificate chain, the server's own first. With `server.tls_key`: serves HTTPS (TLS 1.2 or later) and no HTTP. Read again on SIGHUP, and within a minute of a change.",
    ),
    ("server.tls_key", "PEM file with the certificate's private key."),
    ("log.segment_mib", "Size of a log segment in MiB. Retention removes whole segments."),
    (
        "log.retention_hours",
        "Log records older than this may be removed, once a snapshot holds their effect. 0: no limit by age.",
    ),
    (
        "log.retention_mib",
        "The oldest log records may be removed while the log is larger than this. 0: no limit by size.",
    ),
    ("store.cache_mib", "Memory for profiles in MiB. What does not fit is read from disk."),
    (
        "pipeline.dedup_window_hours",
        "How long a `messageId` is remembered. Changing it changes what a replay gives.",
    ),
    ("delivery.give_up_after_hours", "A delivery that fails for so long becomes a dead letter."),
    (
        "governance.sweep_every_hours",
        "How often data that no purpose covers any more is removed from profiles, log and store. 0: only when `tessera sweep` asks.",
    ),
    (
        "governance.alerts_every_seconds",
        "How often what has come is compared with what tracking plans expect, to raise alerts. At least 1.",
    ),
    (
        "lake.flush_millis",
        "How long after an event is kept it is in the lake at the latest, in milliseconds. More often makes more small files, which are brought together later.",
    ),
    (
        "lake.snapshots",
        "Whether a snapshot of everybody's profiles is taken into the lake each day, as the table `profiles`, for other engines.",
    ),
    (
        "lake.snapshot_days",
        "Snapshots of so many days are kept, today's among them. Erasures and sweeps reach all of them.",
    ),
    ("query.timeout_seconds", "A query in SQL that takes longer is ended and answered 408."),
    (
        "query.memory_mib",
        "Memory for all queries in SQL together, in MiB. Sorts, joins and groups beyond it go to disk.",
    ),
    ("query.spill_mib", "Disk for what queries put there, in MiB. Beyond it they are answered 413."),
    ("query.answer_mib", "Largest answer of a query, in MiB. A larger one is answered 413."),
    (
        "quality.audit_every_hours",
        "How often the quality of the data is audited and the scores kept. 0: only when `tessera quality audit` asks.",
    ),
    (
        "quality.fall_points",
        "A score, of 100, that falls by more points than these from one audit to the next is told in the log.",
    ),
    (
        "access.requests_per_second",
        "Requests to the admin API, of each account and of each address, in the long run. Beyond it they are answered 429 with `Retry-After`. 0: no limit. The token of the data folder, used at the machine itself, has none.",
    ),
    ("access.burst", "As many requests to the admin API may come at once."),
    (
        "access.trusted_proxies",
        "Addresses of proxies, separated by commas, whose `X-Forwarded-For` says who the client is. Without it, all clients behind a proxy share its limits.",
    ),
    (
        "contact.mx_lookup",
        "Whether `tessera validate --mx` and `POST /api/v1/validate` with `mx` may ask the DNS if the domain of an e-mail address takes mail. Only the domain leaves the machine. Off unless set; events are never looked up.",
    ),
    (
        "contact.mx_servers",
        "Name servers to ask, with ports, separated by commas: `192.0.2.53:53`. Empty: those of the system.",
    ),
    ("contact.mx_timeout_millis", "A domain that is not answered for in so many milliseconds is `unknown`."),
    ("contact.mx_concurrent_max", "Most domains that are asked for at once; more wait."),
];

/// Environment variables that are not settings.
const OTHER_VARIABLES: [&str; 6] = [
    "TESSERA_CONFIG",
    "TESSERA_DATA_DIR",
    "TESSERA_URL",
    "TESSERA_TOKEN",
    "TESSERA_CA_FILE",
    "TESSERA_LOG_LEVEL",
];

impl Settings {
    /// Reads settings: `file` if given, then the environment.
    pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        Self::layered(file, std::env::vars().filter(|(name, _)| name.starts_with("TESSERA_")))
    }

    fn layered(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| {
                    Failure::new(
                        "TES-C001",
                        format!("cannot read settings `{}`", file.display()),
                        "check the path and permissions of the settings file",
                    )
                })?;
                text.parse().map_err(|error| bad(&format!("`{}`", file.display()), &error))?
            }
        };
        for (name, value) in variables {
            if OTHER_VARIABLES.contains(&name.as_str()) || name == "TESSERA_BIN" {
                continue;
            }
            let path = name.trim_start_matches("TESSERA_").to_lowercase();
            let Some((section, key)) = path.split_once("__") else {
                let hint = "settings are written TESSERA_SECTION__KEY, for example TESSERA_SERVER__LISTEN";
                return Err(Failure::new(
                    "TES-C001",
                    format!("environment variable `{name}` is not a setting"),
                    hint,
                )
                .into());
            };
            let value = match (value.parse::<i64>(), value.parse::<bool>()) {
                (Ok(number), _) => toml::Value::Integer(number),
                (Err(_), Ok(is_so)) => toml::Value::Boolean(is_so),
                (Err(_), Err(_)) => toml::Value::String(value),
            };
            let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(key.to_owned(), value);
            }
        }
        let from = file.map_or_else(
            || "the environment".to_owned(),
            |file| format!("`{}` and the environment", file.display()),
        );
        let settings: Self = table.try_into().map_err(|error| bad(&from, &error))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        let zero = [
            ("server.connections_max", self.server.connections_max == 0),
            ("server.request_timeout_seconds", self.server.request_timeout_seconds == 0),
            ("server.in_flight_mib_max", self.server.in_flight_mib_max == 0),
            ("log.segment_mib", self.log.segment_mib == 0),
            ("access.burst", self.access.burst == 0),
            ("contact.mx_timeout_millis", self.contact.mx_timeout_millis == 0),
            ("contact.mx_concurrent_max", self.contact.mx_concurrent_max == 0),
            ("lake.flush_millis", self.lake.flush_millis == 0),
            ("lake.snapshot_days", self.lake.snapshot_days == 0),
            ("query.timeout_seconds", self.query.timeout_seconds == 0),
            ("query.memory_mib", self.query.memory_mib == 0),
            ("query.answer_mib", self.query.answer_mib == 0),
            ("pipeline.dedup_window_hours", self.pipeline.dedup_window_hours == 0),
        ];
        self.access.proxies()?;
        self.contact.options()?;
        if self.server.tls_certificate.is_empty() != self.server.tls_key.is_empty() {
            let what = "one of `server.tls_certificate` and `server.tls_key` is set, the other is not";
            return Err(Failure::new("TES-C001", what, "set both to serve HTTPS, none to serve HTTP").into());
        }
        match zero.iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => {
                Err(Failure::new("TES-C001", format!("setting `{name}` is 0"), "use 1 or more").into())
            }
            None => Ok(()),
        }
    }

    /// Every setting with its default, by path.
    pub(crate) fn defaults() -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let Ok(toml::Value::Table(sections)) = toml::Value::try_from(Self::default()) else { return found };
        for (section, keys) in sections {
            for (key, value) in keys.as_table().into_iter().flatten() {
                found.insert(format!("{section}.{key}"), value.to_string());
            }
        }
        found
    }
}

fn bad(from: &str, error: &toml::de::Error) -> anyhow::Error {
    let what = format!("settings in {from} cannot be used: {}", error.to_string().trim());
    Failure::new("TES-C001", what, "docs/reference/settings.md lists every setting").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn every_setting_has_a_line_in_the_reference() {
        let described: Vec<_> = REFERENCE.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut sorted = described.clone();
        sorted.sort();
        assert_eq!(sorted, Settings::defaults().into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tessera.toml");
        std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\nconnections_max = 5\n").unwrap();
        let settings =
            Settings::layered(Some(&file), vars(&[("TESSERA_SERVER__LISTEN", "127.0.0.1:2")])).unwrap();
        assert_eq!(settings.server.listen.port(), 2);
        assert_eq!(settings.server.connections_max, 5);
    }

    #[test]
    fn settings_of_access_and_tls_that_cannot_be_are_refused() {
        let read = |name: &str, value: &str| Settings::layered(None, vars(&[(name, value)]));
        for (name, value, what) in [
            ("TESSERA_SERVER__TLS_KEY", "key.pem", "tls_certificate"),
            ("TESSERA_SERVER__TLS_CERTIFICATE", "cert.pem", "tls_key"),
            ("TESSERA_ACCESS__TRUSTED_PROXIES", "10.0.0.1, proxy", "`proxy`"),
            ("TESSERA_ACCESS__BURST", "0", "access.burst"),
            ("TESSERA_CONTACT__MX_SERVERS", "dns.example", "`dns.example`"),
            ("TESSERA_CONTACT__MX_CONCURRENT_MAX", "0", "contact.mx_concurrent_max"),
        ] {
            let error = read(name, value).unwrap_err().to_string();
            assert!(error.contains("TES-C001") && error.contains(what), "{error}");
        }
        let settings = read("TESSERA_ACCESS__TRUSTED_PROXIES", "10.0.0.1, ::1,").unwrap();
        let proxies: Vec<String> =
            settings.access.proxies().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.1", "::1"]);
        assert_eq!(read("TESSERA_ACCESS__REQUESTS_PER_SECOND", "0").unwrap().access.requests_per_second, 0);
    }

    #[test]
    fn unknown_keys_fail_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tessera.toml");
        std::fs::write(&file, "[server]\nport = 1\n").unwrap();
        let error = Settings::layered(Some(&file), vars(&[])).unwrap_err().to_string();
        assert!(error.contains("unknown field `port`"), "{error}");
        let error = Settings::layered(None, vars(&[("TESSERA_PORT", "1")])).unwrap_err().to_string();
        assert!(error.contains("TESSERA_PORT"), "{error}");
        let error = Settings::layered(None, vars(&[("TESSERA_LOG__SIZE", "1")])).unwrap_err().to_string();
        assert!(error.contains("unknown field `size`"), "{error}");
    }
}
