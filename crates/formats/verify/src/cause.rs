use crate::OtherFormat;

/// What explains that a check failed: what to do about it depends on this, not on the check.
///
/// A false alarm teaches people to switch the check off, so [`Cause::Altered`] is said only where
/// nothing else explains what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something was changed after it was made.
    Altered,
    /// The bundle is of another artifact, or the artifact changed.
    OtherArtifact,
    /// Signed, but not by whom was demanded.
    OtherSigner,
    /// Signed by a certificate where a key was demanded, or the other way round.
    OtherSigningMethod,
    /// Signed, but a statement of another kind than was demanded.
    OtherKind,
    /// The file is no bundle, but something else that is known.
    OtherFormat(OtherFormat),
    /// The certificate or chain that the user gave is not one to verify by.
    Pinned,
    /// It names a CA, log or authority that the trusted root does not list.
    OtherInstance,
    /// The trusted root lists none of that kind, or none that this program can use.
    NoUsableTrust,
    /// The trusted root lists it, but not for that time; or a certificate had ended.
    OutsideValidity,
    /// Something is from the future: two clocks disagree.
    Clocks,
    /// It needs a trusted root, and none was given.
    NoTrust,
    /// Something that was demanded is not in the bundle.
    Incomplete,
    /// This program does not know an algorithm, a kind or a version.
    Unsupported,
    /// The digest is not enough: the artifact itself is needed.
    NeedsArtifact,
}
