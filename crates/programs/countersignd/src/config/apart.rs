//! That no token gets certificates of two tenants.

use super::ca::OpenCa;

/// Notes each two CAs of different tenants that could grant one token: nothing of it would say for whom it is.
pub(super) fn check(authorities: &[OpenCa<'_>]) {
    let signing = |open: &&OpenCa<'_>| open.authority.service.state.signs();
    for (position, open) in authorities.iter().enumerate().filter(|(_, open)| signing(open)) {
        for first in authorities.iter().take(position).filter(signing) {
            if let Some((url, audience)) = shared(first, open) {
                let (table, of) =
                    (first.authority.service.table(), &first.authority.service.tenant);
                let tenant = of.as_deref().unwrap_or_default();
                open.section.wrong("issuer", format!(
                    "tokens of `{url}` for the audience `{audience}` would get certificates of {table} too, \
                     which is of the tenant `{tenant}`: give each [tenant.<name>] an `audience`, or the \
                     issuers of each other `audiences`, or demand other values of a claim that says whose a job is"
                ));
            }
        }
    }
}

/// The issuer and the audience of a token that both would grant.
fn shared<'a>(first: &OpenCa<'_>, second: &'a OpenCa<'_>) -> Option<(&'a str, &'a str)> {
    if first.authority.service.tenant == second.authority.service.tenant {
        return None;
    }
    second.authority.settings.issuers.iter().find_map(|issuer| {
        let mut others = first.authority.settings.issuers.iter();
        let audience = others.find_map(|other| issuer.grants_with(other))?;
        Some((issuer.url(), audience))
    })
}
