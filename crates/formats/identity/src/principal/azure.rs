use x509::{FulcioExtensions, SubjectAlternativeName};

use super::{
    Identity, PrincipalError,
    claim_text::{JobClaims, is_path_segment, repository_url, shaped},
    uri,
};
use crate::{AzureOrganization, VerifiedClaims};

const SERVER: &str = "https://dev.azure.com";
const SUBJECT: &str = "sub";
const SOURCE: &str = "rpo_uri";

/// Longest name of a project, in characters.
const MAX_PROJECT_LEN: usize = 64;

/// Longest name of an organisation.
const MAX_ORGANIZATION_LEN: usize = 50;

/// The pipeline's definition. Names are Microsoft's at the time of signing; `org_id` is what tells
/// one organisation from another.
pub(super) fn identity(
    verified: &VerifiedClaims,
    organization: &AzureOrganization,
) -> Result<Identity, PrincipalError> {
    let claims = JobClaims(verified.claims());
    let organization_id = claims.uuid("org_id")?;
    if !organization_id.eq_ignore_ascii_case(&organization.id) {
        return Err(PrincipalError::Owner("org_id"));
    }
    let subject = Subject::parse(&claims.text(SUBJECT)?, organization)?;
    let project = format!("{SERVER}/{}/{}", subject.organization, subject.project);
    let pipeline = format!("{project}/_build?definitionId={}", claims.number("def_id")?);
    let source = Source::read(&claims, &subject.organization, &organization.source_hosts)?;
    let owner = source.is_azure.then(|| format!("{SERVER}/{}", subject.organization));
    let run = format!("{project}/_build/results?buildId={}", claims.number("run_id")?);
    let extensions = FulcioExtensions {
        build_signer_uri: Some(pipeline.clone()),
        runner_environment: organization.runner_environment.clone(),
        source_repository_uri: Some(source.url),
        source_repository_digest: Some(claims.commit("rpo_ver")?),
        source_repository_ref: Some(claims.full_ref("rpo_ref")?),
        source_repository_identifier: Some(claims.text("rpo_id")?),
        source_repository_owner_identifier: owner.is_some().then_some(organization_id),
        source_repository_owner_uri: owner,
        build_config_uri: Some(pipeline.clone()),
        run_invocation_uri: Some(run),
        ..FulcioExtensions::default()
    };
    Ok(Identity { san: SubjectAlternativeName::Uri(pipeline), extensions })
}

/// `p://organisation/project/pipeline`, escaped for a URI.
struct Subject {
    organization: String,
    project: String,
}

impl Subject {
    fn parse(text: &str, rules: &AzureOrganization) -> Result<Self, PrincipalError> {
        let wrong = || PrincipalError::Shape(SUBJECT);
        let rest = match text.strip_prefix("sc://") {
            Some(_) if !rules.allow_service_connections => {
                return Err(PrincipalError::ServiceConnection);
            }
            Some(rest) => rest,
            None => text.strip_prefix("p://").ok_or_else(wrong)?,
        };
        let (organization, rest) = rest.split_once('/').ok_or_else(wrong)?;
        let (project, pipeline) = rest.split_once('/').ok_or_else(wrong)?;
        if !is_organization(organization) || pipeline.is_empty() {
            return Err(wrong());
        }
        let project = uri::unescape(project).filter(|name| is_project(name)).ok_or_else(wrong)?;
        let project = uri::escape(SUBJECT, &project)?;
        Ok(Self { organization: organization.to_owned(), project })
    }
}

/// The repository, and whether it is one of Azure Repos.
struct Source {
    url: String,
    is_azure: bool,
}

impl Source {
    fn read(
        claims: &JobClaims<'_>,
        organization: &str,
        hosts: &[String],
    ) -> Result<Self, PrincipalError> {
        let text = claims.text(SOURCE)?;
        let Some(path) = azure_path(&text, organization) else {
            return Ok(Self { url: repository_url(SOURCE, &text, hosts)?, is_azure: false });
        };
        let escaped = uri::escape_url(path).ok_or(PrincipalError::NotUriText(SOURCE))?;
        let path = shaped(SOURCE, escaped, is_repository_path)?;
        Ok(Self { url: format!("{SERVER}/{organization}/{path}"), is_azure: true })
    }
}

/// What follows the organisation in a URL of one of its repositories. Azure writes three forms:
/// with the organisation in the path, there and as the user, and in the old host.
fn azure_path<'a>(url: &'a str, organization: &str) -> Option<&'a str> {
    let rest = url.strip_prefix("https://")?;
    let (authority, path) = rest.split_once('/')?;
    let is_organization = |text: &str| text.eq_ignore_ascii_case(organization);
    if authority.strip_suffix(".visualstudio.com").is_some_and(is_organization) {
        return Some(path.strip_prefix("DefaultCollection/").unwrap_or(path));
    }
    let host = match authority.split_once('@') {
        Some((user, host)) if is_organization(user) => host,
        _ => authority,
    };
    let (owner, path) = path.split_once('/')?;
    (host == "dev.azure.com" && is_organization(owner)).then_some(path)
}

/// `project/_git/repository`, or `_git/repository` for the project's own of the same name.
fn is_repository_path(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    let named = match segments.as_slice() {
        [project, "_git", repository] => [*project, *repository],
        ["_git", repository] => [*repository, *repository],
        _ => return false,
    };
    named.iter().all(|segment| is_path_segment(segment))
}

fn is_organization(name: &str) -> bool {
    (1..=MAX_ORGANIZATION_LEN).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What Azure DevOps lets a project be called: no character with a meaning in a URL or path.
fn is_project(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "/\\:~&%;@'\"?<>|#$*{},+=[]".contains(c);
    !name.is_empty()
        && name.chars().count() <= MAX_PROJECT_LEN
        && !name.contains(forbidden)
        && !name.starts_with(['_', '.'])
        && !name.ends_with('.')
}
