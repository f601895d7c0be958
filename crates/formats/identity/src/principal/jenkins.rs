use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, check_text, is_commit, is_full_ref, repository_url},
    escape_segment,
};
use crate::{
    JenkinsController, VerifiedClaims,
    subject_domain::{has_only_whole_escapes, is_uri_byte},
};

const SUBJECT: &str = "sub";

/// Deepest nesting of folders, with the job; multibranch jobs add one.
const MAX_DEPTH: usize = 16;

/// The job. Only `sub` (`JOB_URL`) and `build_number` are the plugin's own; all else is what the
/// administrators defined, and is read only from the claims that the operator names.
pub(super) fn identity(
    verified: &VerifiedClaims,
    controller: &JenkinsController,
) -> Result<Identity, PrincipalError> {
    let claims = JobClaims(verified.claims());
    let folder = JenkinsController::folder_of_issuer(verified.issuer());
    let build = claims.number("build_number")?;
    let subject = claims.text(SUBJECT)?;
    let url = match &controller.subject_template {
        None => subject,
        Some(template) => {
            let name = template.job(&subject, &build).ok_or(PrincipalError::Shape(SUBJECT))?;
            named_job(&controller.url, name).ok_or(PrincipalError::Shape(SUBJECT))?
        }
    };
    let job = job_url(&url, &controller.url, folder)?;
    let run = format!("{job}/{build}/");
    let defined = Defined { verified, controller };
    let extensions = FulcioExtensions {
        build_signer_uri: Some(job.clone()),
        runner_environment: defined
            .shaped(controller.claims.runner_environment.as_deref(), is_own_runner)?,
        source_repository_uri: defined.repository()?,
        source_repository_digest: defined
            .shaped(controller.claims.source_repository_digest.as_deref(), is_commit)?,
        source_repository_ref: defined
            .shaped(controller.claims.source_repository_ref.as_deref(), is_full_ref)?,
        build_config_uri: Some(job.clone()),
        build_trigger: defined.text(controller.claims.build_trigger.as_deref())?,
        run_invocation_uri: Some(run),
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(job), extensions })
}

/// `JOB_URL` of the job `name` (`JOB_NAME`). Branches with slashes have them escaped in the name, and
/// the escape escaped in the URL: `feature%2Fx` is at `/job/feature%252Fx`.
fn named_job(controller: &str, name: &str) -> Option<String> {
    let mut url = controller.to_owned();
    for item in name.split('/') {
        if !is_item_name(item) {
            return None;
        }
        url.push_str("/job/");
        url.push_str(&escape_segment(item));
    }
    Some(url)
}

/// `JOB_URL` in its one form: no final slash, escapes in upper case.
///
/// It is `<controller>/job/<name>`, with `/job/<name>` again for each level. An issuer of a
/// folder's credential speaks for that folder only.
fn job_url(subject: &str, controller: &str, folder: &str) -> Result<String, PrincipalError> {
    let wrong = PrincipalError::Shape(SUBJECT);
    let path = subject.strip_prefix(controller).ok_or(PrincipalError::Owner(SUBJECT))?;
    let path = canonical(path.strip_suffix('/').unwrap_or(path)).ok_or(wrong)?;
    let mut names = path.split("/job/");
    let begins = names.next() == Some("");
    let (mut depth, mut sound) = (0, true);
    for name in names {
        depth += 1;
        sound &= is_item_name(name);
    }
    if !begins || !sound || !(1..=MAX_DEPTH).contains(&depth) {
        return Err(PrincipalError::Shape(SUBJECT));
    }
    let folder = canonical(folder).ok_or(PrincipalError::Owner(SUBJECT))?;
    if !path.strip_prefix(&folder).is_some_and(|below| below.starts_with("/job/")) {
        return Err(PrincipalError::Owner(SUBJECT));
    }
    Ok(format!("{controller}{path}"))
}

/// Escapes in upper case (RFC 3986 §6.2.2.1); `None` for bytes that no URI holds, and for escapes
/// of what needs none or of what parts paths, by which one job could have two names.
fn canonical(path: &str) -> Option<String> {
    if !path.bytes().all(is_uri_byte) || !has_only_whole_escapes(path) {
        return None;
    }
    let mut parts = path.split('%');
    let mut canonical = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = (part.get(..2)?, part.get(2..)?);
        let code = u8::from_str_radix(digits, 16).ok()?;
        let needless = code.is_ascii_alphanumeric() || b"-._~".contains(&code);
        if needless || code.is_ascii_control() || b"/\\".contains(&code) {
            return None;
        }
        canonical.push('%');
        canonical.push_str(&digits.to_ascii_uppercase());
        canonical.push_str(rest);
    }
    Some(canonical)
}

/// One segment that is not a step up, nor the start of a query.
fn is_item_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '?', '#', '@', ':', ';'])
}

/// Whether a runner's description is not the word of a platform for its own machines
/// (`github-hosted`): verifiers take that for SLSA build L2, and here a job may have chosen it.
pub(super) fn is_own_runner(text: &str) -> bool {
    text == "self-hosted" || !text.ends_with("-hosted")
}

/// The claims that the administrators defined.
struct Defined<'a> {
    verified: &'a VerifiedClaims,
    controller: &'a JenkinsController,
}

impl Defined<'_> {
    /// `None` when the operator names no claim, or the build has none of that name.
    fn text(&self, claim: Option<&str>) -> Result<Option<String>, PrincipalError> {
        let Some(claim) = claim else { return Ok(None) };
        let wrong = || PrincipalError::DefinedClaim(claim.to_owned());
        let text = self.verified.claims().text_named(claim).map_err(|_| wrong())?;
        let Some(text) = text else { return Ok(None) };
        // A template whose variable the build lacks is left as it is written.
        if check_text(SUBJECT, &text).is_err() || text.contains("${") {
            return Err(wrong());
        }
        Ok(Some(text))
    }

    fn shaped(
        &self,
        claim: Option<&str>,
        sound: fn(&str) -> bool,
    ) -> Result<Option<String>, PrincipalError> {
        let text = self.text(claim)?;
        if text.as_deref().is_none_or(sound) {
            return Ok(text);
        }
        Err(PrincipalError::DefinedClaim(claim.unwrap_or_default().to_owned()))
    }

    fn repository(&self) -> Result<Option<String>, PrincipalError> {
        let claim = self.controller.claims.source_repository_uri.as_deref();
        let Some(text) = self.text(claim)? else { return Ok(None) };
        repository_url(SUBJECT, &text, &self.controller.source_hosts)
            .map(Some)
            .map_err(|_| PrincipalError::DefinedClaim(claim.unwrap_or_default().to_owned()))
    }
}
