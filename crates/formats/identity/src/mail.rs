//! E-mail addresses and their domains, as certificates and verifiers know them.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest domain and label, RFC 1035 section 2.3.4.
const MAX_DOMAIN_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

/// Longest address, RFC 5321 §4.5.3.1.3 less the angle brackets.
const MAX_ADDRESS_LEN: usize = 254;

/// An address of the form that certificates can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// ASCII: the domain in A-labels where it was of another script, else letters as given.
    pub(crate) text: String,
    /// A-labels in lower case, for comparisons.
    pub(crate) domain: String,
}

/// Why text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// Not `local@domain`, or with comments, quotes, literals or white space.
    Malformed,
    /// RFC 9598 would put it in a `SmtpUTF8Mailbox`, which no client of Sigstore reads.
    LocalPart,
}

impl Address {
    /// Reads dot-atoms on both sides (RFC 5322 §3.4.1): no comments, quotes, literals or white
    /// space, in which verifiers have found other addresses than issuers meant.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.split_once('@').ok_or(AddressError::Malformed)?;
        if !local.is_ascii() {
            return Err(AddressError::LocalPart);
        }
        let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte));
        let labels = a_labels(domain).filter(|_| atoms).ok_or(AddressError::Malformed)?;
        let shown = if domain.is_ascii() { domain } else { &labels };
        let text = format!("{local}@{shown}");
        if text.len() > MAX_ADDRESS_LEN {
            return Err(AddressError::Malformed);
        }
        Ok(Self { text, domain: labels })
    }
}

/// Domains whose addresses an issuer may vouch for: `acme.example`, or with `*.` all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailDomain {
    /// A-labels in lower case.
    labels: String,
    /// Whether it stands for the domains below, and not for itself.
    below: bool,
}

impl MailDomain {
    /// Reads a domain of at least two labels; one alone would be all of `com`. What nobody can own is
    /// refused: it was meant to be something else.
    ///
    /// # Errors
    /// What is wrong, for a sentence about the domain.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains('@') {
            return Err("an address: list the domain, without what is before the `@`");
        }
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.ends_with('.') {
            return Err("which ends in a dot: leave it out");
        }
        if name.contains('*') {
            return Err("whose `*` is not the whole of the first label, where alone it may be");
        }
        let labels = a_labels(name).ok_or("which is no domain")?;
        check_of_dns(&labels)?;
        if !labels.contains('.') {
            return Err("a single label, below which everybody is");
        }
        if below && psl::suffix_str(&labels).is_some_and(|suffix| suffix == labels) {
            return Err("below which strangers register their domains: list those that are meant");
        }
        Ok(Self { labels, below })
    }

    /// Whether the addresses of `domain` (A-labels, lower case) are meant.
    pub(crate) fn contains(&self, domain: &str) -> bool {
        if self.below { is_below(domain, &self.labels) } else { domain == self.labels }
    }

    /// Whether some domain is in both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        match (self.below, other.below) {
            (true, true) => {
                self.labels == other.labels
                    || is_below(&self.labels, &other.labels)
                    || is_below(&other.labels, &self.labels)
            }
            (_, false) => self.contains(&other.labels),
            (false, true) => other.contains(&self.labels),
        }
    }
}

impl fmt::Display for MailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.labels)
    }
}

/// Refuses what no zone of the DNS has: no address would ever match.
fn check_of_dns(labels: &str) -> Result<(), &'static str> {
    if labels.len() > MAX_DOMAIN_LEN || labels.split('.').any(|label| label.len() > MAX_LABEL_LEN) {
        return Err("which is longer than domains can be");
    }
    // ICANN has no such top-level domain (RFC 3696 section 2), and addresses of IP end so.
    if labels.rsplit('.').next().is_some_and(|top| top.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("which ends in a number, as an IP address does");
    }
    let (_, valid) =
        Uts46::new().to_unicode(labels.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow);
    valid.map_err(|_| "which has a label `xn--` of no letters")
}

fn is_below(domain: &str, above: &str) -> bool {
    domain.strip_suffix(above).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// The one spelling of a domain: A-labels (RFC 5890 §2.3.2.1) in lower case.
///
/// Of other scripts only what is a U-label but for its letters' case: UTS 46 also takes what looks
/// alike, such as letters of full width, and two spellings would be one name.
fn a_labels(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        return domain.split('.').all(is_label).then(|| domain.to_ascii_lowercase());
    }
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::Check);
    let uts46 = Uts46::new();
    let ascii = uts46.to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify).ok()?;
    let (unicode, valid) = uts46.to_unicode(ascii.as_bytes(), deny, hyphens);
    (valid.is_ok() && unicode == domain.to_lowercase()).then(|| ascii.into_owned())
}

/// RFC 5322 §3.2.3 `atext`.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> MailDomain {
        MailDomain::parse(text).unwrap()
    }

    #[test]
    fn knows_addresses() {
        for text in ["a@b", "Some.One+tag&x'y@Mail.Example.com", "a@xn--bcher-kva.example"] {
            assert_eq!(Address::parse(text).unwrap().text, text);
        }
    }

    #[test]
    fn domains_of_other_scripts_are_written_in_a_labels() {
        for (text, address) in [
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
            ("a@B\u{dc}CHER.Example", "a@xn--bcher-kva.example"),
            ("a@stra\u{df}e.example", "a@xn--strae-oqa.example"),
            ("a@\u{65e5}\u{672c}.example", "a@xn--wgv71a.example"),
        ] {
            assert_eq!(Address::parse(text).unwrap().text, address, "{text}");
        }
        assert_eq!(
            Address::parse("A@XN--Bcher-KVA.example").unwrap().domain,
            Address::parse("A@b\u{fc}cher.example").unwrap().domain
        );
    }

    #[test]
    fn one_domain_has_one_spelling() {
        for domain in [
            "\u{ff41}\u{ff43}\u{ff4d}\u{ff45}.example",
            "acme\u{3002}example",
            "ac\u{ad}me.example",
            "acme\u{200b}.example",
            "bu\u{308}cher.example",
            "\u{2460}.example",
            "a\u{fc}-.example",
            "\u{fc}_.example",
        ] {
            let refused = Address::parse(&format!("a@{domain}"));
            assert_eq!(refused, Err(AddressError::Malformed), "{domain}");
        }
    }

    #[test]
    fn local_parts_of_other_scripts_have_no_place_in_a_certificate() {
        for text in ["\u{e4}@b.example", "j\u{f6}rg@b\u{fc}cher.example", "\u{65e5}@b.example"] {
            assert_eq!(Address::parse(text), Err(AddressError::LocalPart), "{text}");
        }
    }

    #[test]
    fn knows_what_is_no_address() {
        let long = format!("{}@example.com", "a".repeat(243));
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@-b",
            "a@b-",
            "\"a\"@b",
            "<a@b>",
            "a@b,c@d",
            "a@[127.0.0.1]",
            "a\0@b",
            "a@b\n",
            &long,
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::Malformed), "{text}");
        }
    }

    #[test]
    fn domains_are_exact_but_for_letters_and_a_star() {
        let holds =
            |of: &str, address: &str| domain(of).contains(&Address::parse(address).unwrap().domain);
        assert!(holds("ACME.example", "a@acme.EXAMPLE"));
        assert!(holds("b\u{fc}cher.example", "a@xn--bcher-kva.example"));
        assert!(holds("*.acme.example", "a@x.y.acme.example"));
        for address in
            ["a@x.acme.example", "a@evilacme.example", "a@acme.example.evil", "a@example"]
        {
            assert!(!holds("acme.example", address), "{address}");
        }
        for address in ["a@acme.example", "a@evilacme.example", "a@x.acme.example.evil"] {
            assert!(!holds("*.acme.example", address), "{address}");
        }
    }

    #[test]
    fn what_can_only_be_a_mistake_is_no_domain() {
        let (long_label, long) = ("a".repeat(64), "a.".repeat(127));
        for (odd, why) in [
            ("", "no domain"),
            ("*", "`*`"),
            ("*.", "no domain"),
            ("example", "single label"),
            ("*.example", "single label"),
            ("a@b.example", "without what is before the `@`"),
            ("@b.example", "without what is before the `@`"),
            (".b.example", "no domain"),
            ("b..example", "no domain"),
            ("b.example.", "ends in a dot"),
            ("*.*.b.c", "`*`"),
            ("x*.b.example", "`*`"),
            ("b.*.example", "`*`"),
            ("https://b.example", "no domain"),
            ("b.example:25", "no domain"),
            ("10.0.0.1", "number"),
            ("*.0.0.1", "number"),
            ("xn--a.example", "xn--"),
            ("*.co.uk", "strangers"),
            ("*.CO.UK", "strangers"),
            ("*.github.io", "strangers"),
            (&format!("{long_label}.example"), "longer"),
            (&format!("{long}example"), "longer"),
        ] {
            let refused = MailDomain::parse(odd).unwrap_err();
            assert!(refused.contains(why), "{odd}: {refused}");
        }
        for sound in [
            "acme.co.uk",
            "*.acme.co.uk",
            "*.acme.internal",
            "acme.corp",
            "1.example",
            "a--b.example",
            "xn--bcher-kva.example",
        ] {
            MailDomain::parse(sound).unwrap();
        }
    }

    #[test]
    fn domains_overlap_where_one_address_is_of_both() {
        for (one, other, overlap) in [
            ("a.example", "A.example", true),
            ("a.example", "b.example", false),
            ("*.a.example", "x.a.example", true),
            ("*.a.example", "a.example", false),
            ("*.a.example", "*.a.example", true),
            ("*.a.example", "*.b.a.example", true),
            ("*.a.example", "*.ba.example", false),
            ("*.a.example", "xa.example", false),
        ] {
            assert_eq!(domain(one).overlaps(&domain(other)), overlap, "{one} {other}");
            assert_eq!(domain(other).overlaps(&domain(one)), overlap, "{other} {one}");
        }
    }
}
