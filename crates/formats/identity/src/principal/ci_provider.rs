//! What a `ci-provider` template makes of the claims, and the presets' checks of it.

use url::Url;
use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{MAX_CLAIM_LEN, hides_structure, is_commit, is_full_ref, is_ref_name},
    jenkins::is_own_runner,
    uri,
};
use crate::{
    CiTemplate, VerifiedClaims,
    subject_domain::has_only_whole_escapes,
    template::{ClaimValue, Function, NAME, Part, Shape, TextTemplate},
};

pub(super) fn identity(
    verified: &VerifiedClaims,
    template: &CiTemplate,
) -> Result<Identity, PrincipalError> {
    let job = Job { verified, template };
    let name = job.render(NAME, Shape::Uri, &template.name)?;
    let name = name.ok_or_else(|| refused(NAME, "claims that it needs are missing"))?;
    job.check_name(&name)?;
    // Its claims have been looked at one by one; the rest is the operator's.
    let name = uri::escape_url(&name).ok_or_else(|| refused(NAME, NOT_URI))?;
    let mut extensions = FulcioExtensions::default();
    for (field, text) in &template.extensions {
        *(field.slot)(&mut extensions) = job.render(field.name, field.shape, text)?;
    }
    Ok(Identity { san: SubjectAlternativeName::Uri(name), extensions })
}

const NOT_URI: &str = "it cannot be a URI";

struct Job<'a> {
    verified: &'a VerifiedClaims,
    template: &'a CiTemplate,
}

impl Job<'_> {
    /// The text of `setting`; `None` when an optional claim is missing, or nothing is left.
    fn render(
        &self,
        setting: &'static str,
        shape: Shape,
        text: &TextTemplate,
    ) -> Result<Option<String>, PrincipalError> {
        let mut rendered = String::new();
        for part in &text.parts {
            match part {
                Part::Fixed(fixed) => rendered.push_str(fixed),
                Part::Claim(claim) => {
                    let Some(value) = self.value(setting, claim)? else { return Ok(None) };
                    if shape == Shape::Uri
                        && !fits_uri(&value, claim, rendered.is_empty())
                        && !(value.is_empty() && text.parts.len() == 1)
                    {
                        return Err(PrincipalError::TemplateClaim(claim.name(), setting));
                    }
                    if shape == Shape::Uri && !claim.is_escaped() {
                        uri::refuse_spellings(&claim.name(), &value)?;
                    }
                    let leads = shape == Shape::Uri && rendered.is_empty();
                    if leads && text.claims() > 1 && !self.is_base(&value, claim) {
                        return Err(PrincipalError::TemplateClaim(claim.name(), setting));
                    }
                    rendered.push_str(&value);
                }
            }
        }
        if rendered.is_empty() {
            return Ok(None);
        }
        self.check(setting, shape, &rendered, text.fixed_begin())?;
        Ok(Some(rendered))
    }

    /// Whether other claims may follow `value` in a URI: a server alone, or a URL that the operator
    /// wrote or that every token of the issuer has. With a path of the claim's own, nobody could tell
    /// where that ends.
    fn is_base(&self, value: &str, claim: &ClaimValue) -> bool {
        let is_own = |url: &str| url == value.trim_end_matches('/');
        origin(value) == Some(value)
            || value == self.verified.issuer()
            || self.template.base_url.as_deref().is_some_and(is_own)
            || claim.functions.contains(&Function::Default(value.to_owned()))
    }

    /// A claim's text after the functions; `None` when it is missing and may be.
    fn value(
        &self,
        setting: &'static str,
        claim: &ClaimValue,
    ) -> Result<Option<String>, PrincipalError> {
        let wrong = || PrincipalError::TemplateClaim(claim.name(), setting);
        let mut text = self.verified.claims().text_at(&claim.path).map_err(|_| wrong())?;
        if text.as_ref().is_some_and(|text| text.len() > MAX_CLAIM_LEN) {
            return Err(wrong());
        }
        for function in &claim.functions {
            text = function.apply(text).map_err(|()| wrong())?;
        }
        if wire::name::check_text(text.as_deref().unwrap_or_default()).is_err() {
            return Err(wrong());
        }
        match text {
            None if !claim.is_optional => {
                Err(PrincipalError::TemplateMissing(claim.name(), setting))
            }
            text => Ok(text),
        }
    }

    fn check(
        &self,
        setting: &'static str,
        shape: Shape,
        text: &str,
        fixed_begin: &str,
    ) -> Result<(), PrincipalError> {
        let shaped = !self.template.unshaped.iter().any(|name| name == setting);
        let sound = match shape {
            Shape::Uri => return self.check_uri(setting, text, fixed_begin),
            Shape::Ref if shaped => is_full_ref(text),
            Shape::Ref => is_ref_name(text),
            Shape::Digest if shaped => is_commit(text),
            Shape::Runner => {
                is_own_runner(text)
                    || self.template.hosted_runners.iter().any(|runner| runner == text)
            }
            Shape::Digest | Shape::Text => true,
        };
        if sound { Ok(()) } else { Err(refused(setting, why_not(shape))) }
    }

    /// An absolute URI with at most one ref in it, on a host that the operator wrote or may be
    /// named.
    fn check_uri(
        &self,
        setting: &'static str,
        text: &str,
        fixed_begin: &str,
    ) -> Result<(), PrincipalError> {
        let origin = origin(text).ok_or_else(|| refused(setting, NOT_URI))?;
        if wire::name::check_uri(text).is_err() {
            return Err(refused(setting, NOT_URI));
        }
        let is_fixed = fixed_begin.len() > origin.len() && fixed_begin.starts_with(origin);
        if !is_fixed && !self.may_name(origin) {
            return Err(refused(setting, "it is on a host that this issuer may not name"));
        }
        if has_sound_ref(text) { Ok(()) } else { Err(refused(setting, "it holds an odd ref")) }
    }

    fn may_name(&self, origin: &str) -> bool {
        let own = [Some(self.verified.issuer()), self.template.base_url.as_deref()];
        own.into_iter().flatten().any(|url| self::origin(url) == Some(origin))
            || origin
                .strip_prefix("https://")
                .is_some_and(|host| self.template.source_hosts.iter().any(|listed| listed == host))
    }

    /// The name is below the configured server, or on the issuer's own host.
    fn check_name(&self, name: &str) -> Result<(), PrincipalError> {
        let below = match &self.template.base_url {
            Some(base_url) => name.strip_prefix(base_url.as_str()),
            None => origin(self.verified.issuer()).and_then(|origin| name.strip_prefix(origin)),
        };
        match below.and_then(|below| below.strip_prefix('/')) {
            Some(path) if !path.is_empty() && !path.starts_with('/') => Ok(()),
            _ => Err(refused(NAME, "it is not below the server that this issuer speaks for")),
        }
    }
}

fn refused(template: &'static str, reason: &'static str) -> PrincipalError {
    PrincipalError::TemplateResult { template, reason }
}

const fn why_not(shape: Shape) -> &'static str {
    match shape {
        Shape::Ref => "it is no Git ref",
        Shape::Digest => "it is no commit",
        Shape::Runner => "it is a platform's word for its own machines",
        Shape::Uri | Shape::Text => NOT_URI,
    }
}

/// `https://host:port`, which ends at a slash, query, fragment or the end.
fn origin(text: &str) -> Option<&str> {
    let host = text.find("://")? + "://".len();
    if !matches!(text.get(..host)?, "https://" | "http://") {
        return None;
    }
    let rest = text.get(host..)?;
    let end = host + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let origin = text.get(..end)?;
    // What a parser would change about it is not compared but refused.
    let parsed = Url::parse(origin).ok()?;
    (parsed.as_str().strip_suffix('/') == Some(origin)).then_some(origin)
}

/// Whether a claim's text may stand in a URI: as one segment, as a path where the template says so,
/// or as the URL that it begins with. None may begin a query or fragment, or end the path early.
fn fits_uri(text: &str, claim: &ClaimValue, begins: bool) -> bool {
    if text.is_empty() || text.contains(['?', '#', '\\']) || !has_only_whole_escapes(text) {
        return false;
    }
    if claim.is_path() {
        return super::is_path(text);
    }
    if begins {
        return origin(text).is_some_and(|origin| {
            let path = text.get(origin.len()..).unwrap_or_default();
            path.is_empty() || path.strip_prefix('/').is_some_and(super::is_path)
        });
    }
    !text.contains(['/', '@', ':']) && !matches!(text, "." | "..") && !hides_structure(text)
}

/// Names end in `@<ref>`: with a branch `x@refs/heads/main`, a name would have two readings.
fn has_sound_ref(text: &str) -> bool {
    let mut rest = text.split("@refs/").skip(1);
    match (rest.next(), rest.next()) {
        (None, _) => true,
        (Some(name), None) => is_full_ref(&format!("refs/{name}")),
        _ => false,
    }
}
