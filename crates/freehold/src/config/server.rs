//! `freehold.server.toml`: how a server behaves. Everything has a default; what is not known is refused with its place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_engine::{Bounds, Code, Refusal, Role, auth};
use serde::Deserialize;

use super::cache::Cache;

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) auth: Auth,
    pub(crate) cors: Cors,
    pub(crate) limits: Limits,
    pub(crate) tenants: Share,
    pub(crate) keys: Share,
    pub(crate) cache: Cache,
    /// The folder that paths in the file are relative to.
    #[serde(skip)]
    pub(crate) base: PathBuf,
}

/// Who is asking.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Auth {
    pub(crate) jwt: Option<Jwt>,
    pub(crate) anonymous: Option<Anonymous>,
}

/// Requests without a key: whose rows they read, of what the model opens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Anonymous {
    /// The tenant, by name or id, where `hosts` names none.
    tenant: Option<String>,
    /// The tenant by the name in the request's `Host`, without the port.
    hosts: BTreeMap<String, String>,
}

impl Anonymous {
    /// The tenant for a request to this host, if there is one.
    pub(crate) fn tenant_of(&self, host: Option<&str>) -> Option<&str> {
        let name = host.map(|host| {
            let port = host.rfind(':').filter(|at| !host[*at..].contains(']'));
            host[..port.unwrap_or(host.len())].trim_end_matches('.').to_ascii_lowercase()
        });
        let named = name.and_then(|name| self.hosts.get(&name));
        named.or(self.tenant.as_ref()).map(String::as_str)
    }
}

/// Tokens of an identity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jwt {
    secret_file: Option<PathBuf>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    #[serde(default)]
    audience: Vec<String>,
    issuer: Option<String>,
    #[serde(default = "Jwt::skew")]
    clock_skew_seconds: u64,
    #[serde(default = "Jwt::refresh")]
    refresh_seconds: u64,
    tenant_claim: String,
    role_claim: Option<String>,
    #[serde(default)]
    roles: BTreeMap<String, Named>,
    #[serde(default = "Jwt::role")]
    default_role: Named,
}

/// A role by its name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Anonymous,
    Reader,
    Writer,
    Admin,
}

/// Which pages of other origins may ask.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cors {
    /// Origins such as `https://app.example`, or `*`; none by default.
    pub(crate) origins: Vec<String>,
}

/// What any one request and connection may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    pub(crate) header_bytes: usize,
    pub(crate) url_bytes: usize,
    pub(crate) body_bytes: usize,
    /// From the first byte of a connection, or the end of an answer, to the end of a request's headers.
    pub(crate) header_seconds: u64,
    /// From the headers to the end of the body; of an upload, from some of its bytes to the next.
    pub(crate) body_seconds: u64,
    /// Bytes a second that an upload brings at least, over each `body_seconds` in which it is waited for; 0 for any.
    pub(crate) body_rate: u32,
    /// MiB of uploads that are in memory at once.
    pub(crate) upload_mib: u32,
    /// Requests that work at once; no more than the pool has connections.
    pub(crate) running: usize,
    /// How long a request waits for its turn.
    pub(crate) wait_seconds: u64,
    /// How long a stopping server waits for requests that are running.
    pub(crate) drain_seconds: u64,
    /// Rows that a search over sealed vectors opens and measures at most.
    pub(crate) sealed_max: u64,
}

/// What one tenant, or one key, may take of the server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Share {
    /// Requests a second in the long run; 0 for no limit.
    pub(crate) rate: u32,
    /// Requests at once that are let through before the rate counts.
    pub(crate) burst: u32,
    /// Requests that work at once.
    pub(crate) running: usize,
    /// Requests that wait for their turn.
    pub(crate) waiting: usize,
    /// Longest run of one statement; the server's own limit stays.
    pub(crate) statement_seconds: Option<f64>,
    /// Most rows of a relation in an answer, and in a body.
    pub(crate) rows_max: Option<u64>,
}

impl Share {
    /// What one request may take.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            statement: self.statement_seconds.map(Duration::from_secs_f64),
            rows: self.rows_max,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            header_bytes: 64 << 10,
            url_bytes: 32 << 10,
            body_bytes: 32 << 20,
            header_seconds: 30,
            body_seconds: 60,
            body_rate: 4 << 10,
            upload_mib: 256,
            running: 16,
            wait_seconds: 10,
            drain_seconds: 10,
            sealed_max: freehold_model::query::Limits::default().sealed_max,
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        let (statement_seconds, rows_max) = (None, None);
        Self { rate: 0, burst: 100, running: 12, waiting: 256, statement_seconds, rows_max }
    }
}

impl Jwt {
    fn skew() -> u64 {
        30
    }

    fn refresh() -> u64 {
        600
    }

    fn role() -> Named {
        Named::Reader
    }

    /// The same for what reads tokens.
    pub(crate) fn rules(&self) -> auth::Rules {
        auth::Rules {
            secret_file: self.secret_file.clone(),
            jwks_file: self.jwks_file.clone(),
            jwks_url: self.jwks_url.clone(),
            audience: self.audience.clone(),
            issuer: self.issuer.clone(),
            skew: Duration::from_secs(self.clock_skew_seconds),
            refresh: Duration::from_secs(self.refresh_seconds),
            tenant_claim: self.tenant_claim.clone(),
            role_claim: self.role_claim.clone(),
            roles: self.roles.iter().map(|(word, role)| (word.clone(), role.role())).collect(),
            default_role: self.default_role.role(),
        }
    }
}

impl Named {
    fn role(self) -> Role {
        match self {
            Self::Anonymous => Role::Anonymous,
            Self::Reader => Role::Reader,
            Self::Writer => Role::Writer,
            Self::Admin => Role::Admin,
        }
    }
}

impl ServerConfig {
    /// What `file` says, or the defaults without one.
    ///
    /// # Errors
    /// `Usage` with the place of what is wrong.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Refusal> {
        let Some(file) = file else { return Ok(Self::default()) };
        let refuse = |what: String| {
            Refusal::new(Code::Usage, "the server's configuration cannot be used")
                .detail(format!("{}: {what}", file.display()))
        };
        let text =
            std::fs::read_to_string(file).map_err(|error| refuse(error.kind().to_string()))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| refuse(error.to_string().trim_end().into()))?;
        config.check().map_err(|what| refuse(what.into()))?;
        config.base = file.parent().unwrap_or(Path::new("")).to_owned();
        config.cache.shared(&config.base)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), &'static str> {
        let limits = &self.limits;
        if limits.connections == 0 || limits.running == 0 || limits.header_seconds == 0 {
            return Err("limits.connections, running and header_seconds are at least 1");
        }
        if !(1..=10_000_000).contains(&limits.sealed_max) {
            return Err("limits.sealed_max is from 1 to 10000000");
        }
        if limits.body_bytes > crate::http::BODY_BYTES_MAX {
            return Err("limits.body_bytes is at most 33554432");
        }
        if limits.header_bytes < 8 << 10 {
            return Err("limits.header_bytes is at least 8192");
        }
        if [&self.tenants, &self.keys].iter().any(|share| share.running == 0 || share.burst == 0) {
            return Err("running and burst of tenants and keys are at least 1");
        }
        for share in [&self.tenants, &self.keys] {
            if share.statement_seconds.is_some_and(|seconds| !(0.001..=3_600.0).contains(&seconds))
            {
                return Err("statement_seconds is from 0.001 to 3600");
            }
            if share.rows_max == Some(0) {
                return Err("rows_max is at least 1");
            }
        }
        if let Some(anonymous) = &self.auth.anonymous
            && anonymous.hosts.keys().any(|host| host.is_empty() || *host != host.to_lowercase())
        {
            return Err("auth.anonymous.hosts are names in small letters");
        }
        if self.auth.jwt.as_ref().is_some_and(|jwt| jwt.clock_skew_seconds > 300) {
            return Err("auth.jwt.clock_skew_seconds is at most 300");
        }
        self.cache.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("freehold.server.toml");
        for (text, place) in [
            ("[limits]\nbody = 3\n", "line 2, column 1"),
            ("[limits]\nrunning = -1\n", "line 2, column 11"),
            ("[auth.jwt]\ntenant_claim = \"t\"\ndefault_role = \"root\"\n", "line 3, column 16"),
            ("[auth.jwt]\nissuer = \"x\"\n", "tenant_claim"),
            ("[limits]\nrunning = 0\n", "at least 1"),
            ("[limits]\nsealed_max = 0\n", "from 1 to"),
            ("[tenants]\nstatement_seconds = 0\n", "from 0.001"),
            ("[keys]\nrows_max = 0\n", "at least 1"),
            ("[auth.anonymous.hosts]\n\"Acme.example\" = \"acme\"\n", "small letters"),
        ] {
            std::fs::write(&file, text).unwrap();
            let refusal = ServerConfig::read(Some(&file)).unwrap_err();
            assert!(refusal.detail.as_ref().unwrap().contains(place), "{refusal:?}");
        }
        let text = "[auth.anonymous]\ntenant = \"acme\"\nhosts = { \"b.example\" = \"b\" }\n";
        std::fs::write(&file, text).unwrap();
        let anonymous = ServerConfig::read(Some(&file)).unwrap().auth.anonymous.unwrap();
        for (host, tenant) in [
            (None, "acme"),
            (Some("b.example"), "b"),
            (Some("B.Example.:8080"), "b"),
            (Some("c.example"), "acme"),
            (Some("[::1]:80"), "acme"),
        ] {
            assert_eq!(anonymous.tenant_of(host), Some(tenant), "{host:?}");
        }
        assert_eq!(Anonymous::default().tenant_of(Some("b.example")), None);

        std::fs::write(&file, "[tenants]\nrate = 5\n").unwrap();
        let config = ServerConfig::read(Some(&file)).unwrap();
        assert_eq!((config.tenants.rate, config.tenants.burst, config.keys.rate), (5, 100, 0));
    }
}
