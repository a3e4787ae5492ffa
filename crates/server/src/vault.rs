//! Secrets at rest: each is sealed under its tenant's own key, and bound to the place it is stored
//! at.
//!
//! The master key is a file; it wraps one random key per tenant, which the store keeps. A sealed
//! value opens only with the key of its tenant and only for the tenant, table, row and column it was
//! sealed for: a row that is copied to another tenant, or a value moved to another row, opens
//! nowhere. Losing a tenant's wrapped key makes all its secrets unreadable for ever, which is how a
//! tenant is forgotten. Not here: which values are secret.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};

use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, column};
use crate::error::{Error, Result};
use crate::id::{Random, TenantNo};

/// Where a secret is stored. What is sealed for one place does not open for another.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
}

/// The keys in use; they are read once, when the first secret is.
#[derive(Default)]
pub struct Vault {
    keys: Mutex<HashMap<TenantNo, Arc<Key>>>,
}

/// The key of one tenant.
pub struct Key {
    tenant: TenantNo,
    sealing: LessSafeKey,
    /// Drawn from the same bytes, for marks.
    marking: hmac::Key,
}

/// What opening and making keys needs of the process.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The store.
    pub db: &'a Db,
    /// The time.
    pub clock: &'a Clock,
    /// Random bytes.
    pub random: &'a Random,
    /// Where the master key is.
    pub config: &'a Config,
}

impl Vault {
    /// The key of a tenant, made when there is none. Not to be called inside a change: making one
    /// is a change of its own.
    pub async fn key(&self, means: Means<'_>, tenant: TenantNo) -> Result<Arc<Key>> {
        if let Some(key) = self.keys.lock().ok().and_then(|keys| keys.get(&tenant).cloned()) {
            return Ok(key);
        }
        let sql = "select wrapped from tenant_key where tenant_no = $1";
        let stored = means.db.of(tenant).query_one(sql, vec![tenant.0.into()]).await?;
        let wrapped: Vec<u8> = if let Some(row) = stored {
            column(&row, 0)?
        } else {
            let others = means
                .db
                .whole("whether any secret is sealed")
                .query_one("select 1 from tenant_key limit 1", vec![])
                .await?;
            let master = master(means, others.is_none())?;
            let fresh = means.random.bytes::<32>()?;
            let wrapped = seal(&master, means.random, &wrapping(tenant), &fresh)?;
            let tx = means.db.of(tenant).begin().await?;
            tx.execute(
                "insert into tenant_key (tenant_no, wrapped, created_at) values ($1, $2, $3) \
                 on conflict do nothing",
                vec![tenant.0.into(), wrapped.into(), means.clock.now().micros().into()],
            )
            .await?;
            // Another process may have been first; its key counts.
            let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
            tx.commit().await?;
            let row = row.ok_or_else(|| Error::Internal("a tenant's key was lost".to_owned()))?;
            column(&row, 0)?
        };
        let master = master(means, false)?;
        let bytes = open(&master, &wrapping(tenant), &wrapped).ok_or_else(|| {
            Error::Internal(format!(
                "the secrets of this store are sealed with another master key than {}",
                path(means.config).display()
            ))
        })?;
        let key = Arc::new(Key { tenant, sealing: aead(&bytes)?, marking: marking(&bytes)? });
        if let Ok(mut keys) = self.keys.lock() {
            keys.insert(tenant, key.clone());
        }
        Ok(key)
    }
}

impl Key {
    /// Seals a secret for its place.
    pub fn seal(&self, random: &Random, place: Place<'_>, secret: &[u8]) -> Result<Vec<u8>> {
        seal(&self.sealing, random, &self.bound(place), secret)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// `Internal` when it was altered, or sealed for another place or tenant.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>> {
        open(&self.sealing, &self.bound(place), sealed).ok_or_else(|| {
            Error::Internal(format!(
                "a secret in {}.{} of tenant {} was altered or is not at its place",
                place.table, place.column, self.tenant.0
            ))
        })
    }

    /// A mark that only who has this key makes: it shows that we wrote this text for that purpose.
    #[must_use]
    pub fn mark<const N: usize>(&self, purpose: &'static str, text: &str) -> [u8; N] {
        let mut signed = self.tenant.0.to_be_bytes().to_vec();
        signed.extend((purpose.len() as u64).to_be_bytes());
        signed.extend(purpose.as_bytes());
        signed.extend(text.as_bytes());
        let mark = hmac::sign(&self.marking, &signed);
        let mut cut = [0; N];
        for (to, from) in cut.iter_mut().zip(mark.as_ref()) {
            *to = *from;
        }
        cut
    }

    /// Whether a mark is ours; it takes as long for each that is not.
    #[must_use]
    pub fn is_mark<const N: usize>(
        &self,
        purpose: &'static str,
        text: &str,
        mark: [u8; N],
    ) -> bool {
        let ours = self.mark::<N>(purpose, text);
        ours.iter().zip(mark).fold(0, |off, (ours, theirs)| off | (ours ^ theirs)) == 0
    }

    fn bound(&self, place: Place<'_>) -> Vec<u8> {
        let mut bound = self.tenant.0.to_be_bytes().to_vec();
        for part in [place.table, place.row, place.column] {
            bound.extend((part.len() as u64).to_be_bytes());
            bound.extend(part.as_bytes());
        }
        bound
    }
}

fn wrapping(tenant: TenantNo) -> Vec<u8> {
    [b"riposte tenant key ".as_slice(), &tenant.0.to_be_bytes()].concat()
}

/// A key for marks, drawn from a tenant's own so that neither says anything of the other.
fn marking(bytes: &[u8]) -> Result<hmac::Key> {
    let mut drawn = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(bytes)
        .expand(&[b"riposte marks"], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut drawn))
        .map_err(|_| Error::Internal("a key could not be drawn".to_owned()))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &drawn))
}

fn aead(bytes: &[u8]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, bytes)
        .map_err(|_| Error::Internal("a key has the wrong length".to_owned()))?;
    Ok(LessSafeKey::new(key))
}

/// A random nonce of 96 bits, then what is sealed: with far fewer than 2^32 secrets under one key
/// no two share a nonce.
fn seal(key: &LessSafeKey, random: &Random, bound: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
    let nonce = random.bytes::<NONCE_LEN>()?;
    let mut sealed = secret.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(bound),
        &mut sealed,
    )
    .map_err(|_| Error::Internal("a secret could not be sealed".to_owned()))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn open(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let secret = key.open_in_place(nonce, Aad::from(bound), &mut text).ok()?;
    Some(secret.to_vec())
}

fn path(config: &Config) -> PathBuf {
    config.master_key.clone().unwrap_or_else(|| config.data_dir.join("master.key"))
}

/// The master key of the file; a new file when there is none and nothing is sealed yet.
fn master(means: Means<'_>, may_make: bool) -> Result<LessSafeKey> {
    let path = path(means.config);
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && may_make => {
            let text = hex::encode(means.random.bytes::<32>()?);
            match write(&path, &text) {
                Ok(()) => text,
                // Another process made it in this very moment.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    read(&path).map_err(|error| unreadable(&path, &error))?
                }
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let bytes = hex::decode(text.trim()).ok().filter(|bytes| bytes.len() == 32);
    let bytes = bytes.ok_or_else(|| {
        Error::Internal(format!("the master key {} is not 64 hexadecimal digits", path.display()))
    })?;
    aead(&bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::Internal(format!("cannot read the master key {}: {error}", path.display()))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(1_024).read_to_string(&mut text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!("the master key {} can be read by others", path.display());
        }
    }
    Ok(text)
}

/// On disk before it is used: a key that a crash loses takes every secret with it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Under another name first, so that nobody reads half a key.
    let draft = dir.join(format!(".master.key.{}", std::process::id()));
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    linked?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { table: "person", row: "p1", column: "totp" };

    fn key(tenant: i64) -> Key {
        let marking = marking(&[7; 32]).unwrap();
        Key { tenant: TenantNo(tenant), sealing: aead(&[7; 32]).unwrap(), marking }
    }

    #[test]
    fn a_mark_is_of_one_tenant_purpose_and_text() {
        let mark: [u8; 10] = key(1).mark("answer", "d1");
        assert!(key(1).is_mark("answer", "d1", mark));
        assert!(!key(2).is_mark("answer", "d1", mark), "another tenant");
        assert!(!key(1).is_mark("other", "d1", mark), "another purpose");
        assert!(!key(1).is_mark("answer", "d2", mark), "another text");
        assert!(!key(1).is_mark("answe", "rd1", mark), "moved across");
        for bit in 0..80 {
            let mut off = mark;
            off[bit / 8] ^= 1 << (bit % 8);
            assert!(!key(1).is_mark("answer", "d1", off), "bit {bit}");
        }
    }

    #[test]
    fn a_secret_opens_at_its_place_only() {
        let random = Random::system();
        let sealed = key(1).seal(&random, PLACE, b"hidden").unwrap();
        assert_eq!(key(1).open(PLACE, &sealed).unwrap(), b"hidden");
        assert!(key(2).open(PLACE, &sealed).is_err(), "another tenant");
        for place in [
            Place { table: "app", ..PLACE },
            Place { row: "p2", ..PLACE },
            Place { column: "password", ..PLACE },
            Place { table: "perso", row: "np1", ..PLACE },
        ] {
            assert!(key(1).open(place, &sealed).is_err(), "{place:?}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealed = key(1).seal(&Random::system(), PLACE, b"hidden").unwrap();
        for byte in 0..sealed.len() {
            for bit in 0..8 {
                let mut altered = sealed.clone();
                altered[byte] ^= 1 << bit;
                assert!(key(1).open(PLACE, &altered).is_err(), "byte {byte}, bit {bit}");
            }
            assert!(key(1).open(PLACE, &sealed[..byte]).is_err(), "cut at {byte}");
        }
    }

    #[test]
    fn no_nonce_comes_twice() {
        let (random, key) = (Random::system(), key(1));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100_000 {
            let sealed = key.seal(&random, PLACE, b"").unwrap();
            assert!(seen.insert(sealed[..NONCE_LEN].to_vec()));
        }
    }
}
