//! From flags, `RIPOSTE_*` variables and `riposte.toml` to one [`Config`], in that order of weight.

use std::path::{Path, PathBuf};

use super::{Failure, Global, Listen};
use crate::config::Config;
use crate::error::{Error, Result};

/// What every help page ends with.
pub(super) const HELP: &str = "Every setting of riposte.toml can also be given in the environment: \
    RIPOSTE_DATA_DIR, RIPOSTE_STORE, RIPOSTE_LISTEN, RIPOSTE_INTAKE_BODY_BYTES … \
    Flags win over the environment, the environment over the file.";

/// A setting of the environment: where it goes.
type Set = fn(&mut Config, &str) -> std::result::Result<(), String>;

/// Every setting under its name in the environment, without `RIPOSTE_`.
const VARIABLES: &[(&str, Set)] = &[
    ("DATA_DIR", |config, text| set(&mut config.data_dir, text)),
    ("MASTER_KEY", |config, text| some(&mut config.master_key, text)),
    ("STORE", |config, text| some(&mut config.store, text)),
    ("LISTEN", |config, text| set(&mut config.listen, text)),
    ("AGENTS", |config, text| some(&mut config.agents, text)),
    ("TLS_CERT", |config, text| some(&mut config.tls.cert, text)),
    ("TLS_KEY", |config, text| some(&mut config.tls.key, text)),
    ("TLS_SELF_SIGNED", |config, text| flag(&mut config.tls.self_signed, text)),
    ("PUBLIC_URL", |config, text| some(&mut config.public_url, text)),
    ("TRUSTED_PROXIES", |config, text| {
        let networks: std::result::Result<_, String> =
            text.split_whitespace().map(str::parse).collect();
        config.trusted_proxies = networks?;
        Ok(())
    }),
    ("LOG_JSON", |config, text| flag(&mut config.log_json, text)),
    ("LOG_FILTER", |config, text| set(&mut config.log_filter, text)),
    ("OTLP_ENDPOINT", |config, text| some(&mut config.otlp_endpoint, text)),
    ("INTAKE_WAITING_REQUESTS", |config, text| set(&mut config.intake.waiting_requests, text)),
    ("INTAKE_WAITING_BYTES", |config, text| set(&mut config.intake.waiting_bytes, text)),
    ("INTAKE_BODY_BYTES", |config, text| set(&mut config.intake.body_bytes, text)),
    ("LIMITS_PER_MINUTE", |config, text| set(&mut config.limits.per_minute, text)),
    ("LIMITS_TENANT_PER_MINUTE", |config, text| set(&mut config.limits.tenant_per_minute, text)),
    ("LIMITS_LEGACY_PER_MINUTE", |config, text| set(&mut config.limits.legacy_per_minute, text)),
    ("LIMITS_LEGACY_PER_HOUR", |config, text| set(&mut config.limits.legacy_per_hour, text)),
    ("LIMITS_TOKENS_PER_MINUTE", |config, text| set(&mut config.limits.tokens_per_minute, text)),
    ("LIMITS_SIGN_IN_PER_MINUTE", |config, text| set(&mut config.limits.sign_in_per_minute, text)),
    ("GRAPH_DEFAULT_PAGE", |config, text| set(&mut config.graph.default_page, text)),
    ("GRAPH_LARGEST_PAGE", |config, text| set(&mut config.graph.largest_page, text)),
    ("GRAPH_REFUSE_UNKNOWN_MEMBERS", |config, text| {
        flag(&mut config.graph.refuse_unknown_members, text)
    }),
    ("OIDC_PRIVATE_ISSUERS", |config, text| {
        config.oidc.private_issuers = text.split_whitespace().map(str::to_owned).collect();
        Ok(())
    }),
    ("OIDC_CA", |config, text| some(&mut config.oidc.ca, text)),
    ("MAIL_SMTP", |config, text| some(&mut config.mail.smtp, text)),
    ("MAIL_PASSWORD_FILE", |config, text| some(&mut config.mail.password_file, text)),
    ("MAIL_FROM", |config, text| some(&mut config.mail.from, text)),
    ("MAIL_CA", |config, text| some(&mut config.mail.ca, text)),
    ("MAIL_DKIM_SELECTOR", |config, text| some(&mut config.mail.dkim_selector, text)),
    ("MAIL_DKIM_KEY", |config, text| some(&mut config.mail.dkim_key, text)),
    ("MAIL_REPLIES", |config, text| some(&mut config.mail.replies, text)),
    ("MAIL_LMTP", |config, text| some(&mut config.mail.lmtp, text)),
    ("MAIL_IMAP", |config, text| some(&mut config.mail.imap, text)),
    ("MAIL_IMAP_PASSWORD_FILE", |config, text| some(&mut config.mail.imap_password_file, text)),
    ("MAIL_AUTHORITY", |config, text| some(&mut config.mail.authority, text)),
    ("PHONE_ACCOUNT", |config, text| some(&mut config.phone.account, text)),
    ("PHONE_TOKEN_FILE", |config, text| some(&mut config.phone.token_file, text)),
    ("PHONE_FROM", |config, text| some(&mut config.phone.from, text)),
    ("PHONE_URL", |config, text| set(&mut config.phone.url, text)),
    ("TRANSLATION_URL", |config, text| some(&mut config.translation.url, text)),
    ("TRANSLATION_MODEL", |config, text| set(&mut config.translation.model, text)),
    ("TRANSLATION_TOKEN_FILE", |config, text| some(&mut config.translation.token_file, text)),
    ("CHAT_SLACK_URL", |config, text| set(&mut config.chat.slack_url, text)),
    ("CHAT_PAGERDUTY_US_URL", |config, text| set(&mut config.chat.pagerduty_us_url, text)),
    ("CHAT_PAGERDUTY_EU_URL", |config, text| set(&mut config.chat.pagerduty_eu_url, text)),
    ("CHAT_TEAMS_LOGIN", |config, text| set(&mut config.chat.teams_login, text)),
    ("CHAT_TEAMS_GRAPH", |config, text| set(&mut config.chat.teams_graph, text)),
    ("CHAT_TEAMS_METADATA", |config, text| set(&mut config.chat.teams_metadata, text)),
    ("CHAT_TEAMS_SERVICE", |config, text| set(&mut config.chat.teams_service, text)),
    ("PACKAGES_DAYS", |config, text| set(&mut config.packages.days, text)),
    ("CONNECTORS_LAG_S", |config, text| set(&mut config.connectors.lag_s, text)),
];

fn set<T: std::str::FromStr<Err: std::fmt::Display>>(
    place: &mut T,
    text: &str,
) -> std::result::Result<(), String> {
    *place = text.parse().map_err(|error: T::Err| error.to_string())?;
    Ok(())
}

fn some<T: std::str::FromStr<Err: std::fmt::Display>>(
    place: &mut Option<T>,
    text: &str,
) -> std::result::Result<(), String> {
    *place = Some(text.parse().map_err(|error: T::Err| error.to_string())?);
    Ok(())
}

fn flag(place: &mut bool, text: &str) -> std::result::Result<(), String> {
    *place = match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => true,
        "0" | "false" | "no" | "off" => false,
        _ => return Err("expected true or false".to_owned()),
    };
    Ok(())
}

/// Puts the configuration together; says also whether anybody chose what to log.
pub(super) fn read(
    global: Global,
    variable: impl Fn(&str) -> Option<String>,
) -> std::result::Result<(Config, bool), Failure> {
    // An empty variable is one that is not set: shells have no other way to say so in a line.
    let variable =
        |name: &str| variable(&format!("RIPOSTE_{name}")).filter(|text| !text.is_empty());
    let mut config =
        file(global.config.or_else(|| variable("CONFIG").map(PathBuf::from)).as_deref())?;
    for (name, set) in VARIABLES {
        if let Some(text) = variable(name) {
            set(&mut config, &text).map_err(|reason| {
                // Not the value: it may hold a password.
                Failure::Usage(format!("RIPOSTE_{name} cannot be read: {reason}"))
            })?;
        }
    }
    if let Some(dir) = global.data_dir {
        config.data_dir = dir;
    }
    config.store = global.store.or(config.store);
    config.public_url = global.public_url.or(config.public_url);
    config.otlp_endpoint = global.otlp_endpoint.or(config.otlp_endpoint);
    config.log_json |= global.log_json;
    if let Some(filter) = global.log_filter {
        config.log_filter = filter;
    }
    if let Some(url) = &config.store
        && !url.starts_with("postgres://")
        && !url.starts_with("postgresql://")
    {
        return Err(Failure::Usage("the store's address must begin with postgres://".to_owned()));
    }
    if let Some(url) = &mut config.public_url {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::Usage(
                "the public URL must begin with http:// or https://".to_owned(),
            ));
        }
        url.truncate(url.trim_end_matches('/').len());
    }
    let told_filter = config.log_filter != Config::default().log_filter;
    Ok((config, told_filter))
}

fn file(told: Option<&Path>) -> std::result::Result<Config, Failure> {
    let path = told.unwrap_or(Path::new("riposte.toml"));
    match std::fs::read_to_string(path) {
        Ok(text) => Config::read(&text).map_err(|reason| Failure::Failed(Error::Invalid(reason))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && told.is_none() => {
            Ok(Config::default())
        }
        Err(error) => {
            let reason = format!("cannot read the configuration {}: {error}", path.display());
            Err(Failure::Failed(Error::Invalid(reason)))
        }
    }
}

/// The flags of `serve` and `demo`.
pub(super) fn listen(config: &mut Config, flags: &Listen) {
    if let Some(address) = flags.address {
        config.listen = address;
    }
    config.agents = flags.agents.or(config.agents);
    if let Some([cert, key]) = flags.tls.as_deref() {
        config.tls.cert = Some(cert.clone());
        config.tls.key = Some(key.clone());
        config.tls.self_signed = false;
    }
    if flags.tls_self_signed {
        config.tls.cert = None;
        config.tls.key = None;
        config.tls.self_signed = true;
    }
}

/// Makes a directory that only its owner may look into; one that is there stays as it is.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| {
        Error::Invalid(format!("cannot make the data directory {}: {error}", dir.display()))
    })
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::Invalid(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn config(line: &str, variables: &[(&str, &str)]) -> std::result::Result<Config, String> {
        let words = std::iter::once("riposte").chain(line.split(' ')).chain(["migrate"]);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        match read(cli.global, variable) {
            Ok((config, _)) => Ok(config),
            Err(Failure::Usage(reason)) => Err(reason),
            Err(Failure::Failed(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("riposte.toml");
        std::fs::write(
            &path,
            "data_dir = 'file'\nlog_filter = 'debug'\nlog_json = true\n\
             [intake]\nbody_bytes = 7\n[tls]\nself_signed = true\n",
        )
        .unwrap();
        let file = ("RIPOSTE_CONFIG", path.to_str().unwrap());
        let only_file = config("--json", &[file]).unwrap();
        assert_eq!(only_file.data_dir, PathBuf::from("file"));
        assert_eq!((only_file.intake.body_bytes, only_file.tls.self_signed), (7, true));

        let environment = [
            file,
            ("RIPOSTE_DATA_DIR", "environment"),
            ("RIPOSTE_INTAKE_BODY_BYTES", "8"),
            ("RIPOSTE_LOG_JSON", "off"),
            ("RIPOSTE_STORE", ""),
        ];
        let both = config("--json", &environment).unwrap();
        assert_eq!((both.intake.body_bytes, both.log_json, both.store), (8, false, None));
        assert_eq!(both.log_filter, "debug");

        let all = config("--data-dir flag --log-filter warn", &environment).unwrap();
        assert_eq!(all.data_dir, PathBuf::from("flag"));
        assert_eq!(all.log_filter, "warn");
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_name() {
        let refused = |line: &str, variables: &[(&str, &str)], reason: &str| {
            let error = config(line, variables).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        refused("--json", &[("RIPOSTE_LISTEN", "here")], "RIPOSTE_LISTEN cannot be read");
        refused("--json", &[("RIPOSTE_LOG_JSON", "maybe")], "RIPOSTE_LOG_JSON cannot be read");
        refused("--json", &[("RIPOSTE_CONFIG", "/nowhere/x.toml")], "/nowhere/x.toml");
        refused("--store mysql://x", &[], "postgres://");
        refused("--public-url siem.example", &[], "http://");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("riposte.toml");
        std::fs::write(&path, "colour = 'red'").unwrap();
        refused("--json", &[("RIPOSTE_CONFIG", path.to_str().unwrap())], "colour");
    }
}
