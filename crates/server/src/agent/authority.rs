//! The installation's own authority for agents: it signs their certificates and their orders.
//!
//! Both keys are in the store, so that every replica signs alike and accepts what another signed.
//! A certificate names an agent and its tenant and is good for nothing but showing who asks; whether
//! the agent is still welcome is asked of the store each time. Of a signing request only the key is
//! used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
    SerialNumber,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use riposte_wire::Signed;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};

const DAY_S: i64 = 86_400;
/// Days an agent's certificate lasts.
const CERTIFICATE_DAYS: i64 = 2 * 365;
/// Days the authority lasts. Nobody compares them: who trusts it trusts its key.
const AUTHORITY_DAYS: i64 = 20 * 365;

/// See the module.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    orders: Ed25519KeyPair,
}

/// Whom a certificate of ours names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The agent's id.
    pub agent: String,
    /// The tenant's id.
    pub tenant: String,
    /// The certificate's serial number, in hexadecimal.
    pub serial: String,
}

impl Authority {
    /// Reads the keys, making them when there are none.
    pub async fn load(app: &App) -> Result<Self> {
        let pkcs8 = key(app, "agents-1", "agents", || {
            Ok(KeyPair::generate().map_err(Error::internal)?.serialize_der())
        })
        .await?;
        let pair = KeyPair::try_from(pkcs8)
            .map_err(|error| Error::Internal(format!("the agents' key is damaged: {error}")))?;
        let pkcs8 = key(app, "orders-1", "orders", || {
            let fresh = Ed25519KeyPair::generate_pkcs8(app.random.ring())
                .map_err(|_| Error::Internal("cannot make a signing key".to_owned()))?;
            Ok(fresh.as_ref().to_vec())
        })
        .await?;
        let orders = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|_| Error::Internal("the orders' key is damaged".to_owned()))?;
        let params = own(&pair, app.clock.now())?;
        let certificate = params.self_signed(&pair).map_err(Error::internal)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, pair), certificate, orders })
    }

    /// The certificate that agents' certificates lead to.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The public key that orders are signed with, in base64.
    #[must_use]
    pub fn order_key(&self) -> String {
        BASE64.encode(self.orders.public_key().as_ref())
    }

    /// Signs an order.
    pub fn sign(&self, order: &riposte_wire::Order) -> Result<Signed> {
        let body = serde_json::to_string(order).map_err(Error::internal)?;
        let signature = BASE64.encode(self.orders.sign(body.as_bytes()));
        Ok(Signed { body, signature })
    }

    /// The certificate for an agent, in PEM.
    ///
    /// # Errors
    /// `Invalid` when the request cannot be read, is not signed by its own key, or its key is of a
    /// kind we do not take.
    pub fn issue(&self, request: &str, named: &Named, now: Timestamp) -> Result<String> {
        let request = CertificateSigningRequestParams::from_pem(request).map_err(|error| {
            Error::Invalid(format!("the certificate request cannot be used: {error}"))
        })?;
        let known =
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        if !known.contains(&request.public_key.algorithm()) {
            return Err(Error::Invalid(
                "the certificate request's key must be of ECDSA P-256, P-384 or Ed25519".to_owned(),
            ));
        }
        let serial = hex::decode(&named.serial).map_err(Error::internal)?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = lasting(now, CERTIFICATE_DAYS)?;
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, named.tenant.as_str());
        params.distinguished_name.push(DnType::CommonName, named.agent.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&request.public_key, &self.issuer);
        Ok(signed.map_err(Error::internal)?.pem())
    }
}

/// A serial number of 127 random bits, in hexadecimal.
pub(super) fn serial(app: &App) -> Result<String> {
    let mut bytes = app.random.bytes::<16>()?;
    // Positive, and without a leading zero that an encoder would take away.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(hex::encode(bytes))
}

/// Whom a certificate names; `None` for one that we never issued.
#[must_use]
pub fn named(certificate: &[u8]) -> Option<Named> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let one = |mut found: Vec<&str>| {
        let text = found.pop().filter(|_| found.is_empty())?;
        uuid::Uuid::try_parse(text).ok().map(|id| id.to_string())
    };
    let agent = subject.iter_common_name().filter_map(|it| it.as_str().ok()).collect();
    let tenant = subject.iter_organization().filter_map(|it| it.as_str().ok()).collect();
    let serial = hex::encode(certificate.raw_serial());
    Some(Named { agent: one(agent)?, tenant: one(tenant)?, serial })
}

/// A key of the store by its id, made when there is none. Two processes that both come here go on
/// with the same one.
async fn key(
    app: &App,
    id: &str,
    kind: &str,
    fresh: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let sql = "select pkcs8 from signing_key where id = $1";
    if let Some(row) = app.db.shared().query_one(sql, vec![id.into()]).await? {
        return column(&row, 0);
    }
    let fresh = fresh()?;
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "insert into signing_key (id, kind, pkcs8, created_at) values ($1, $2, $3, $4) \
         on conflict (id) do nothing",
        vec![id.into(), kind.into(), fresh.into(), app.clock.now().micros().into()],
    )
    .await?;
    let row = tx.query_one(sql, vec![id.into()]).await?;
    tx.commit().await?;
    column(&row.ok_or_else(|| Error::Internal(format!("the key {id} was lost")))?, 0)
}

/// The authority's own parameters. Its name follows from its key, so that every process puts the
/// same one together.
fn own(pair: &KeyPair, now: Timestamp) -> Result<CertificateParams> {
    let mut mark = hex::encode(Sha256::digest(pair.der_bytes()));
    mark.truncate(8);
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = lasting(now, AUTHORITY_DAYS)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Riposte agents {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

/// From a day ago, for clocks that are late, until `days` from now.
fn lasting(now: Timestamp, days: i64) -> Result<(OffsetDateTime, OffsetDateTime)> {
    let at = |moment: Timestamp| {
        OffsetDateTime::from_unix_timestamp(moment.micros() / 1_000_000).map_err(Error::internal)
    };
    Ok((at(now.plus_seconds(-DAY_S))?, at(now.plus_seconds(days * DAY_S))?))
}
