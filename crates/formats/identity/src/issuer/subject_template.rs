use crate::IssuerConfigError;

const JOB: &str = "{job}";
const BUILD: &str = "{build}";

/// How the administrators of a Jenkins controller have made `sub`, such as `jenkins/{job}`.
///
/// `{job}` stands for `JOB_NAME`, the names of folders and job with slashes between them, and
/// `{build}` for `BUILD_NUMBER`. All else is as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTemplate {
    before: String,
    after: String,
}

impl SubjectTemplate {
    /// Reads a template with one `{job}` and at most one `{build}`.
    ///
    /// # Errors
    /// [`IssuerConfigError::Setting`].
    pub fn parse(text: &str) -> Result<Self, IssuerConfigError> {
        let wrong =
            || IssuerConfigError::Setting { setting: "subject_template", value: text.to_owned() };
        let (before, after) = text.split_once(JOB).ok_or_else(wrong)?;
        let fixed = format!("{before}{after}").replacen(BUILD, "", 1);
        let sound =
            !fixed.contains(['{', '}']) && fixed.bytes().all(|byte| byte.is_ascii_graphic());
        // A name begins at a place that no name can move: Jenkins allows neither `:` nor `/` in one.
        let parted = |text: &str, end: Option<char>| {
            text.is_empty() || end.is_some_and(|c| matches!(c, '/' | ':') || text == BUILD)
        };
        if !sound || !parted(before, before.chars().last()) || !parted(after, after.chars().next())
        {
            return Err(wrong());
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The job's name in `subject`, of the build with this number.
    pub(crate) fn job<'a>(&self, subject: &'a str, build: &str) -> Option<&'a str> {
        let before = self.before.replace(BUILD, build);
        let after = self.after.replace(BUILD, build);
        let job = subject.strip_prefix(&before)?.strip_suffix(&after)?;
        // A variable that the build lacks is left as it is written.
        (!job.is_empty() && !job.contains("${")).then_some(job)
    }
}
