//! `[cache]`: how much a server remembers, and the Redis that servers share.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_engine::{
    Code, Refusal,
    cache::{ANSWER_OVERHEAD, SharedConfig},
};
use serde::Deserialize;

/// Most MiB in memory that make sense: a TiB.
const MEMORY_MAX: usize = 1 << 20;

/// Where answers are kept.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// In the process, in MiB; 0 for nothing.
    pub(crate) memory_mib: usize,
    /// Bytes of the largest answer that is kept.
    pub(crate) value_bytes_max: usize,
    redis: Option<String>,
    redis_ca_file: Option<PathBuf>,
    redis_password_file: Option<PathBuf>,
    prefix: String,
    timeout_ms: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            value_bytes_max: 1 << 20,
            redis: None,
            redis_ca_file: None,
            redis_password_file: None,
            prefix: "freehold:".into(),
            timeout_ms: 50,
        }
    }
}

// The URL may have a password in it.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Cache");
        shown.field("memory_mib", &self.memory_mib).field("redis", &self.redis.is_some());
        shown.finish_non_exhaustive()
    }
}

impl Cache {
    /// The Redis to share, if one is named. Paths in it are relative to `base`.
    ///
    /// # Errors
    /// `Usage` if it could never be used.
    pub(crate) fn shared(&self, base: &Path) -> Result<Option<SharedConfig>, Refusal> {
        let Some(url) = &self.redis else { return Ok(None) };
        let mut shared = SharedConfig::new(url);
        shared.ca_file = self.redis_ca_file.as_ref().map(|file| base.join(file));
        if let Some(file) = &self.redis_password_file {
            shared.password = Some(password(&base.join(file))?);
        }
        shared.prefix.clone_from(&self.prefix);
        shared.timeout = Duration::from_millis(self.timeout_ms);
        shared.value_max = self.value_bytes_max + ANSWER_OVERHEAD;
        shared.check()?;
        Ok(Some(shared))
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let needs = [&self.redis_ca_file, &self.redis_password_file];
        if self.redis.is_none() && needs.iter().any(|file| file.is_some()) {
            return Err("cache.redis_ca_file and redis_password_file are for cache.redis");
        }
        if !(1..=10_000).contains(&self.timeout_ms) {
            return Err("cache.timeout_ms is from 1 to 10000");
        }
        if !(1..=crate::http::BODY_BYTES_MAX).contains(&self.value_bytes_max) {
            return Err("cache.value_bytes_max is from 1 to 33554432");
        }
        if self.memory_mib > MEMORY_MAX {
            return Err("cache.memory_mib is at most 1048576");
        }
        Ok(())
    }
}

fn password(file: &Path) -> Result<String, Refusal> {
    let refuse = |why: &str| {
        Refusal::new(Code::Usage, "the password of the cache's Redis cannot be read")
            .detail(format!("{}: {why}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| refuse(&error.kind().to_string()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(refuse("it is empty")),
        password => Ok(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::ServerConfig;

    #[test]
    fn the_cache_is_read_and_what_cannot_work_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("freehold.server.toml");
        let read = |text: &str| {
            std::fs::write(&file, format!("[cache]\n{text}\n")).unwrap();
            ServerConfig::read(Some(&file))
        };
        for (text, why) in [
            ("redis = 5", "line 2, column 9"),
            ("rediss = \"x\"", "unknown field"),
            ("redis = \"http://u:secret@h\"", "http://h"),
            ("redis = \"redis://h\"\nredis_ca_file = \"ca.pem\"", "rediss://"),
            ("redis = \"redis://u@h\"", "no password"),
            ("redis = \"redis://u@h\"\nredis_password_file = \"gone\"", "gone"),
            ("redis = \"redis://h\"\nprefix = \"\"", "prefix"),
            ("redis_password_file = \"x\"", "cache.redis"),
            ("timeout_ms = 0", "timeout_ms"),
            ("value_bytes_max = 0", "value_bytes_max"),
            ("memory_mib = 2000000", "memory_mib"),
        ] {
            let refusal = read(text).unwrap_err();
            let detail = refusal.detail.unwrap();
            assert!(refusal.code == Code::Usage && detail.contains(why), "{text}: {detail}");
            assert!(!detail.contains("secret"), "{detail}");
        }
        std::fs::write(folder.path().join("word"), "secret\n").unwrap();
        let text = "redis = \"rediss://freehold@h:7/1\"\nredis_password_file = \"word\"\ntimeout_ms = 7\nmemory_mib = 0";
        let config = read(text).unwrap();
        let shared = config.cache.shared(&config.base).unwrap().unwrap();
        assert_eq!(shared.password.as_deref(), Some("secret"));
        assert_eq!((shared.timeout, config.cache.memory_mib), (Duration::from_millis(7), 0));
        assert!(!format!("{config:?}").contains("secret"));
        let config = read("").unwrap();
        assert!(config.cache.shared(&config.base).unwrap().is_none());
        assert_eq!((config.cache.memory_mib, config.cache.value_bytes_max), (256, 1 << 20));
    }
}
