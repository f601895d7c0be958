//! Verified OIDC claims to certificate identities.
//!
//! Decides who a token speaks for: which issuers are trusted and for what, whether a token's claims
//! hold at a given time, and which subject alternative name and Fulcio extensions they become.
//! Specifications: RFC 7515 (JWS compact form), RFC 7519 (claims), OpenID Connect Core §2, and
//! Fulcio's OIDC and OID documents for the mapping.
//!
//! It refuses to: fetch keys or verify signatures itself (the caller hands in a check), accept `none`
//! or HMAC algorithms (they cannot be expressed), accept critical header parameters, duplicate
//! claims, or tokens longer than [`MAX_TOKEN_LEN`], and to guess identities from `sub` formats.
//!
//! A token has one parsed claim set, used for the issuer look-up, the checks and the certificate:
//! [`UnverifiedClaims`] shows only what key look-up needs; [`UnverifiedClaims::verify`] gives
//! [`VerifiedClaims`], which alone become a [`Principal`].
//!
//! - `issuer`: [`IssuerConfig`], [`IssuerKind`], [`IssuerSet`]; what claims are demanded
//!   ([`ClaimRules`]), and that no two vouch for one name ([`name_conflicts`]). `mail`: addresses.
//! - `token`: compact JWS with limits. `facts`: what messages say of a token. `claims`: typed, exact
//!   values. `verified`: time, audience. `explain`: all that is wrong with a token, for people.
//! - `principal`: one module per issuer kind; `claim_text` has the shapes that all CIs share.

mod algorithm;
mod claims;
mod explain;
mod facts;
mod issuer;
mod mail;
mod principal;
mod spiffe;
mod subject_domain;
mod template;
mod token;
mod verified;

pub use algorithm::JwsAlgorithm;
pub use claims::{ClaimError, Claims};
pub use explain::Verdict;
pub use facts::UnverifiedFacts;
pub use issuer::{
    AzureOrganization, BitbucketWorkspace, BuildkiteOrganizations, CircleciOrganizations,
    ClaimPath, ClaimRules, IssuerConfig, IssuerConfigError, IssuerKind, IssuerSet, JenkinsClaims,
    JenkinsController, KeyLocation, MachineClients, MachineProvider, NameConflict, NameSpace,
    People, SubjectTemplate, name_conflicts,
};
pub use mail::MailDomain;
pub use principal::{Principal, PrincipalError};
pub use spiffe::TrustDomain;
pub use subject_domain::SubjectDomain;
pub use template::CiTemplate;
pub use token::{MAX_TOKEN_LEN, TokenError, UnverifiedClaims};
pub use verified::{VerificationError, VerifiedClaims};
