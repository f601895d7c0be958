use x509::SubjectAlternativeName;

use crate::{ClaimError, Claims, PrincipalError, VerifiedClaims};

const CLAIM: &str = "kubernetes.io";

/// Begins the subject of every service account's token; a namespace and a name follow, with a colon
/// between, which neither can hold.
const SUBJECT: &str = "system:serviceaccount:";

/// In tokens that a Secret holds, which have no nested claims.
const LEGACY_CLAIM: &str = "kubernetes.io/serviceaccount/namespace";

/// Longest name of a namespace: RFC 1123 label.
const MAX_LABEL_LEN: usize = 63;

/// Longest name of a service account: RFC 1123 subdomain.
const MAX_NAME_LEN: usize = 253;

/// The service account, in `cluster` when that has a name: else the URI is the same in every
/// cluster, and verifiers tell clusters apart by issuer.
///
/// The subject says the same again, and API servers authorise by that: a token in which the two
/// differ was not made by one, and nobody knows whose it is.
pub(super) fn name(
    verified: &VerifiedClaims,
    cluster: Option<&str>,
) -> Result<SubjectAlternativeName, PrincipalError> {
    if verified.claims().text(LEGACY_CLAIM).map_or(true, |found| found.is_some()) {
        return Err(PrincipalError::LegacyServiceAccount);
    }
    let workload: Claims = verified.claims().typed(CLAIM)?.ok_or(ClaimError::Missing(CLAIM))?;
    match names_of(&workload).map_err(|_| ClaimError::WrongType(CLAIM))? {
        Some(ServiceAccount { namespace, account })
            if is_label(&namespace) && is_name(&account) =>
        {
            let subject = verified.claims().required_text("sub")?;
            if subject.strip_prefix(SUBJECT) != Some(&format!("{namespace}:{account}")) {
                return Err(PrincipalError::Contradiction { claim: "sub", other: CLAIM });
            }
            let cluster = cluster.map(|name| format!("/clusters/{name}")).unwrap_or_default();
            Ok(SubjectAlternativeName::Uri(format!(
                "https://kubernetes.io{cluster}/namespaces/{namespace}/serviceaccounts/{account}"
            )))
        }
        _ => Err(PrincipalError::ServiceAccount),
    }
}

/// Whose token it is, within its cluster.
struct ServiceAccount {
    namespace: String,
    account: String,
}

/// The account that the claim names. Read as claims are, member by member: a derived reader would
/// take a list of the members' values for an object.
fn names_of(workload: &Claims) -> Result<Option<ServiceAccount>, ClaimError> {
    let account: Option<Claims> = workload.typed("serviceaccount")?;
    let account = account.map(|account| account.string("name")).transpose()?.flatten();
    let both = workload.string("namespace")?.zip(account);
    Ok(both.map(|(namespace, account)| ServiceAccount { namespace, account }))
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
