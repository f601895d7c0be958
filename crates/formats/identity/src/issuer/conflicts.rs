//! That no two issuers vouch for one name.
//!
//! A verifier that demands a name and no issuer believes whoever can vouch for the name. So two
//! issuers of one CA have names apart, or the operator says that they share them (docs/adr/0018).

use std::mem::discriminant;

use super::{IssuerConfig, IssuerConfigError, IssuerKind};

impl IssuerConfig {
    /// Whether the operator says that the two share names.
    fn shares_with(&self, other: &Self) -> bool {
        let says =
            |one: &Self, of: &Self| one.shares_names_with().iter().any(|url| url == of.url());
        says(self, other) || says(other, self)
    }

    /// Whether both could be named as the issuer in certificates, each by keys of its own. Then nothing
    /// would tell their names apart, whatever the operator says.
    fn passes_for(&self, other: &Self) -> bool {
        let claims = (self.people().issuer_claim(), other.people().issuer_claim());
        match claims {
            (None, None) => self.keys() != other.keys() && self.meets(other),
            (Some(claim), None) => claim.values.iter().any(|value| other.is_of(value)),
            (None, Some(claim)) => claim.values.iter().any(|value| self.is_of(value)),
            (Some(one), Some(of)) => one.values.iter().any(|value| of.values.contains(value)),
        }
    }

    /// What the certificate may name as the issuer.
    fn issuer_names(&self) -> Vec<&str> {
        match self.people().issuer_claim() {
            Some(claim) => claim.values.iter().map(String::as_str).collect(),
            None => vec![self.url()],
        }
    }

    /// What `shares_names_with` has and cannot mean. A pattern may share names with itself, and two
    /// entries of one URL with each other.
    fn idle_sharing(&self, issuers: &[Self]) -> Option<IssuerConfigError> {
        let entries = |url: &str| issuers.iter().filter(|other| other.url() == url).count();
        let issuer = || self.url().to_owned();
        self.shares_names_with().iter().find_map(|url| match entries(url) {
            0 => Some(IssuerConfigError::SharesWithNobody { issuer: issuer(), url: url.clone() }),
            // A pattern that lists one issuer alone may list more again.
            1 if url == self.url() && !self.is_pattern() => {
                Some(IssuerConfigError::SharesWithItself(issuer()))
            }
            _ => None,
        })
    }

    /// What would move names of the two apart.
    fn parting_settings(&self, other: &Self) -> String {
        match (self.names_setting(), other.names_setting()) {
            (one, other) if one == other => format!("`{one}`"),
            (one, other) => format!("`{one}` or `{other}`"),
        }
    }
}

/// A reason for which issuers do not go together.
#[derive(Debug, PartialEq, Eq)]
pub struct NameConflict {
    /// The entry in which something is to be changed, counted from 0.
    pub position: usize,
    /// What is wrong.
    pub error: IssuerConfigError,
}

/// Every reason for which the issuers of one CA do not go together: none where all is well.
///
/// What two can vouch for without saying so, patterns whose issuers can vouch for names of each other,
/// issuers that pass for others in certificates, and statements about issuers that are not there.
#[must_use]
pub fn name_conflicts(issuers: &[IssuerConfig]) -> Vec<NameConflict> {
    let mut conflicts = Vec::new();
    for (position, issuer) in issuers.iter().enumerate() {
        let here = |error| NameConflict { position, error };
        conflicts.extend(issuer.idle_sharing(issuers).map(here));
        conflicts.extend(rivals(issuer).map(here));
        for (other_position, other) in issuers.iter().enumerate().skip(position + 1) {
            // Of a provider on this machine all entries may be one table, which takes no such line.
            let say_at_first = other.is_on_loopback() && !issuer.is_on_loopback();
            let (said_at, at, beside) = if say_at_first {
                (position, issuer, other)
            } else {
                (other_position, other, issuer)
            };
            let error = conflict(beside, at);
            conflicts.extend(error.map(|error| NameConflict { position: said_at, error }));
        }
        conflicts.extend(impersonates(issuer, issuers).map(here));
    }
    conflicts
}

/// One entry that is about issuers which can give one name.
fn rivals(issuer: &IssuerConfig) -> Option<IssuerConfigError> {
    if !issuer.has_rivals() {
        return None;
    }
    // Each of them could say that it is the same connector.
    let untold = issuer.people().issuer_claim().is_some();
    if issuer.shares_with(issuer) && !untold {
        return None;
    }
    Some(IssuerConfigError::Rivals {
        pattern: issuer.url().to_owned(),
        names: issuer.names().first().map(ToString::to_string).unwrap_or_default(),
        or_share: if untold {
            String::new()
        } else {
            format!(", or, where each may, `shares_names_with = [\"{}\"]`", issuer.url())
        },
    })
}

/// What both vouch for without a word; the word would be in the entry of `other`.
fn conflict(one: &IssuerConfig, other: &IssuerConfig) -> Option<IssuerConfigError> {
    if is_one_provider(one, other) && is_one_namer(one.kind(), other.kind()) {
        return None;
    }
    let others = other.names();
    let shared =
        one.names().into_iter().find(|names| others.iter().any(|of| names.overlaps(of)))?;
    let (names, settings) = (shared.to_string(), one.parting_settings(other));
    let urls = (one.url().to_owned(), other.url().to_owned());
    if !is_one_provider(one, other) && one.passes_for(other) {
        let (one, other) = urls;
        return Some(IssuerConfigError::UntoldNames { one, other, names, settings });
    }
    if one.shares_with(other) {
        return None;
    }
    let (one, other) = urls;
    Some(IssuerConfigError::SharedNames { one, other, names, settings })
}

/// Whether both are entries of one provider, whose names are its own whichever entry takes the token.
/// Two entries of one pattern are that for each issuer of it; so they are where it is one issuer, or
/// where no name is of two.
fn is_one_provider(one: &IssuerConfig, other: &IssuerConfig) -> bool {
    let of_one =
        |issuer: &IssuerConfig| issuer.known_issuers().is_some_and(|known| known.len() == 1);
    let issuers = one.known_issuers();
    let told = |issuer: &IssuerConfig| of_one(issuer) || issuer.tells_issuers_apart();
    let is_same = issuers == other.known_issuers() && (issuers.is_some() || one.url == other.url);
    is_same && one.keys() == other.keys() && told(one) && told(other)
}

/// Whether both kinds take names from the same claims. Where not, whoever is named by the one could
/// be called like somebody that the other names: a person with the name of a machine.
fn is_one_namer(one: &IssuerKind, other: &IssuerKind) -> bool {
    match (one, other) {
        (IssuerKind::JenkinsJob(one), IssuerKind::JenkinsJob(other)) => one.url == other.url,
        _ => discriminant(one) == discriminant(other) || names_subject(one) && names_subject(other),
    }
}

/// Whether the token names its own subject.
const fn names_subject(kind: &IssuerKind) -> bool {
    match kind {
        IssuerKind::Email { .. }
        | IssuerKind::Uri { .. }
        | IssuerKind::EmailOrUri { .. }
        | IssuerKind::Spiffe { .. }
        | IssuerKind::Username { .. } => true,
        IssuerKind::GithubWorkflow { .. }
        | IssuerKind::GitlabPipeline { .. }
        | IssuerKind::AzurePipeline(_)
        | IssuerKind::JenkinsJob(_)
        | IssuerKind::BuildkiteJob(_)
        | IssuerKind::CircleciJob(_)
        | IssuerKind::BitbucketPipeline(_)
        | IssuerKind::CiProvider(_)
        | IssuerKind::Kubernetes { .. }
        | IssuerKind::Machine(_) => false,
    }
}

/// An issuer whose tokens' claims could name another as the certificate's issuer.
fn impersonates(issuer: &IssuerConfig, issuers: &[IssuerConfig]) -> Option<IssuerConfigError> {
    let claim = issuer.people().issuer_claim()?;
    let alike = |one: &str, other: &str| {
        one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
    };
    let taken = |value: &&String| {
        issuers.iter().any(|other| {
            alike(value, other.url())
                || other.is_of(value)
                || (other.url() != issuer.url()
                    && !issuer.shares_with(other)
                    && other.issuer_names().iter().any(|name| alike(value, name)))
        })
    };
    claim.values.iter().find(taken).map(|value| IssuerConfigError::IssuerValue {
        issuer: issuer.url().to_owned(),
        value: value.clone(),
    })
}
