//! Every kind of id, and where random bytes come from.
//!
//! Incident ids are whole numbers, unique over the installation and shown as decimal text, because
//! clients of the Graph face treat them as numbers in text. Alert ids are `al` and a number.

use std::fmt;
use std::str::FromStr;

use ring::rand::SecureRandom;

/// The small number a tenant has inside this store; never shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TenantNo(pub i64);

impl TenantNo {
    /// The number under which the provider keeps its own ledger; no tenant has it.
    pub const PROVIDER: Self = Self(0);
}

/// An incident: `42`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IncidentId(pub i64);

/// An alert: `al42`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AlertId(pub i64);

/// A task of a managed response: `42`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub i64);

/// An action on a device, an account or another thing: `ac42`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ActionId(pub i64);

/// The small number a device has inside this store; never shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceNo(pub i64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ac{}", self.0)
    }
}

impl FromStr for TaskId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        number(text).map(Self).ok_or(())
    }
}

impl FromStr for ActionId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        text.strip_prefix("ac").and_then(number).map(Self).ok_or(())
    }
}

impl serde::Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for ActionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "al{}", self.0)
    }
}

impl FromStr for IncidentId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        number(text).map(Self).ok_or(())
    }
}

impl FromStr for AlertId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        text.strip_prefix("al").and_then(number).map(Self).ok_or(())
    }
}

/// Plain decimal digits only: `+1`, ` 1` and `01` are other texts, and so not our ids.
fn number(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if plain { text.parse().ok() } else { None }
}

impl serde::Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for AlertId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Random bytes: the machine's, or a repeatable stream for a test.
#[derive(Clone)]
pub struct Random(std::sync::Arc<dyn SecureRandom + Send + Sync>);

impl Random {
    /// The machine's random bytes.
    #[must_use]
    pub fn system() -> Self {
        Self(std::sync::Arc::new(ring::rand::SystemRandom::new()))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> crate::error::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0
            .fill(&mut bytes)
            .map_err(|_| crate::error::Error::Internal("no random bytes".to_owned()))?;
        Ok(bytes)
    }

    /// A random (version 4) UUID in its usual spelling.
    pub fn uuid(&self) -> crate::error::Result<String> {
        Ok(uuid::Builder::from_random_bytes(self.bytes()?).into_uuid().to_string())
    }

    /// A secret of 32 random bytes in URL-safe base64 without padding.
    pub fn secret(&self) -> crate::error::Result<String> {
        use base64::Engine;
        Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.bytes::<32>()?))
    }

    /// For libraries that want ring's own trait.
    #[must_use]
    pub fn ring(&self) -> &dyn SecureRandom {
        &*self.0
    }
}
