use serde::Deserialize;
use x509::SubjectAlternativeName;

use crate::{ClaimError, PrincipalError, VerifiedClaims};

const CLAIM: &str = "kubernetes.io";

/// Longest name of a namespace: RFC 1123 label.
const MAX_LABEL_LEN: usize = 63;

/// Longest name of a service account: RFC 1123 subdomain.
const MAX_NAME_LEN: usize = 253;

/// The service account, in `cluster` when that has a name: else the URI is the same in every
/// cluster, and verifiers tell clusters apart by issuer.
pub(super) fn name(
    verified: &VerifiedClaims,
    cluster: Option<&str>,
) -> Result<SubjectAlternativeName, PrincipalError> {
    let workload: Workload = verified.claims().typed(CLAIM)?.ok_or(ClaimError::Missing(CLAIM))?;
    let names = workload.namespace.zip(workload.serviceaccount.and_then(|account| account.name));
    match names {
        Some((namespace, account)) if is_label(&namespace) && is_name(&account) => {
            let cluster = cluster.map(|name| format!("/clusters/{name}")).unwrap_or_default();
            Ok(SubjectAlternativeName::Uri(format!(
                "https://kubernetes.io{cluster}/namespaces/{namespace}/serviceaccounts/{account}"
            )))
        }
        _ => Err(PrincipalError::ServiceAccount),
    }
}

#[derive(Deserialize)]
struct Workload {
    namespace: Option<String>,
    serviceaccount: Option<ServiceAccount>,
}

#[derive(Deserialize)]
struct ServiceAccount {
    name: Option<String>,
}

/// Kubernetes lets nothing else through; a slash or two dots would move one name into the
/// other's place.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_LEN && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL_LEN).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}
