//! `type = "ci-provider"`: the operator's own mapping from claims to a name and extensions.
//!
//! Claims keep their types (a text, an exact integer, a boolean; `null` and an empty text are
//! missing), and are only ever put where the template has them: nothing in them is read as a
//! template. What the presets check is checked of every result, by `principal::ci_provider`.

mod fields;
mod functions;
mod text;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::IssuerConfigError;
pub(crate) use fields::{Field, Shape};
pub(crate) use functions::Function;
use text::Unparted;
pub(crate) use text::{ClaimValue, Part, TextTemplate};

/// The setting of the certificate's name.
pub(crate) const NAME: &str = "subject_alternative_name";

/// Most entries of a list or table of a template.
const MAX_LISTED: usize = 64;

/// A CI system's mapping, parsed.
#[derive(Clone, Debug)]
pub struct CiTemplate {
    pub(crate) name: TextTemplate,
    pub(crate) extensions: Vec<(&'static Field, TextTemplate)>,
    /// Server below which every name is; without it the issuer's host.
    pub(crate) base_url: Option<String>,
    /// Hosts beside it that claims may name in URIs.
    pub(crate) source_hosts: Vec<String>,
    /// What a platform calls its own machines, where this one may say it.
    pub(crate) hosted_runners: Vec<String>,
    /// Extensions of which the form of Git's refs and commits is not demanded.
    pub(crate) unshaped: Vec<String>,
}

impl PartialEq for CiTemplate {
    fn eq(&self, other: &Self) -> bool {
        let texts = |template: &Self| -> Vec<(&'static str, TextTemplate)> {
            template.extensions.iter().map(|(field, text)| (field.name, text.clone())).collect()
        };
        self.name == other.name
            && texts(self) == texts(other)
            && self.base_url == other.base_url
            && self.source_hosts == other.source_hosts
            && self.hosted_runners == other.hosted_runners
            && self.unshaped == other.unshaped
    }
}

impl Eq for CiTemplate {}

/// `template = { ... }` as it is written.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TemplateSettings {
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    hosted_runners: Vec<String>,
    #[serde(default)]
    unshaped: Vec<String>,
    /// By extension; unknown ones are refused by [`CiTemplate::build`].
    #[serde(flatten)]
    texts: BTreeMap<String, String>,
}

impl CiTemplate {
    /// Parses every text.
    pub(crate) fn build(
        settings: TemplateSettings,
        base_url: Option<String>,
        source_hosts: Vec<String>,
    ) -> Result<Self, IssuerConfigError> {
        let TemplateSettings { values, hosted_runners, unshaped, mut texts } = settings;
        let sizes = [values.len(), hosted_runners.len(), unshaped.len()];
        if sizes.into_iter().any(|size| size > MAX_LISTED) {
            return Err(fault("values", 1, format!("more than {MAX_LISTED}")));
        }
        let name = texts.remove(NAME).ok_or(IssuerConfigError::MissingSetting {
            kind: "ci-provider",
            setting: "template.subject_alternative_name",
        })?;
        let name = parse(NAME, Shape::Uri, &name, &values)?;
        let mut extensions = Vec::new();
        for (setting, text) in texts {
            let Some(field) = Field::find(&setting) else {
                return Err(fault(&setting, 1, "no extension has this name".to_owned()));
            };
            extensions.push((field, parse(field.name, field.shape, &text, &values)?));
        }
        check_unshaped(&unshaped)?;
        if let Some(runner) = hosted_runners.iter().find(|runner| !runner.ends_with("-hosted")) {
            return Err(fault("hosted_runners", 1, format!("`{runner}` needs no leave")));
        }
        Ok(Self { name, extensions, base_url, source_hosts, hosted_runners, unshaped })
    }
}

fn check_unshaped(names: &[String]) -> Result<(), IssuerConfigError> {
    let has_shape = |name: &str| {
        Field::find(name).is_some_and(|field| matches!(field.shape, Shape::Ref | Shape::Digest))
    };
    match names.iter().find(|name| !has_shape(name)) {
        None => Ok(()),
        Some(name) => Err(fault("unshaped", 1, format!("`{name}` is no ref and no digest"))),
    }
}

fn parse(
    setting: &str,
    shape: Shape,
    text: &str,
    values: &BTreeMap<String, String>,
) -> Result<TextTemplate, IssuerConfigError> {
    let template = TextTemplate::parse(text, values)
        .map_err(|text::Fault { column, problem }| fault(setting, column, problem))?;
    if shape == Shape::Uri {
        check_uri_template(setting, &template)?;
    }
    Ok(template)
}

/// Of two values with slashes nobody can tell where one ends and the other begins: two jobs could
/// have one name. A value that begins a URI is a URL, or follows `https://`.
fn check_uri_template(setting: &str, template: &TextTemplate) -> Result<(), IssuerConfigError> {
    if template.paths() > 1 {
        return Err(fault(setting, 1, "more than one value with `path`".to_owned()));
    }
    if let Some(Unparted { left, right }) = template.unparted() {
        let (one, other) = (left.name(), right.name());
        let problem = format!(
            "nothing between `{one}` and `{other}` that neither may hold, such as `/`: two jobs could \
             have one name"
        );
        return Err(fault(setting, 1, problem));
    }
    let begin = template.fixed_begin();
    let is_web = begin.is_empty() || begin.starts_with("https://") || begin.starts_with("http://");
    if !is_web {
        return Err(fault(setting, 1, "a URI begins with `https://` or a value".to_owned()));
    }
    Ok(())
}

fn fault(setting: &str, column: usize, problem: String) -> IssuerConfigError {
    IssuerConfigError::Template { setting: setting.to_owned(), column, problem }
}

#[cfg(test)]
mod tests;
