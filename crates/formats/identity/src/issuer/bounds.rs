//! Settings of time that contradict each other, or leave no token to accept.

use std::time::Duration;

use crate::{IssuerConfig, IssuerConfigError};

/// Furthest that an issuer's clock may be ahead: more is no clock, but tokens made for later.
const MAX_CLOCK_SKEW: Duration = Duration::from_hours(1);

pub(super) fn check(issuer: &IssuerConfig) -> Result<(), IssuerConfigError> {
    let wrong = |setting, value: Duration| {
        Err(IssuerConfigError::Setting { setting, value: value.as_secs().to_string() })
    };
    if issuer.clock_skew > MAX_CLOCK_SKEW {
        return wrong("clock_skew_s", issuer.clock_skew);
    }
    // Every token would be refused.
    if issuer.max_lifetime.is_zero() {
        return wrong("max_lifetime_s", issuer.max_lifetime);
    }
    match issuer.max_age {
        Some(age) if age.is_zero() => wrong("max_age_s", age),
        // A token that old has expired: `exp` is at most that far from `iat`.
        Some(age) if age > issuer.max_lifetime => wrong("max_age_s", age),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_that_refuse_every_token_or_have_no_effect_are_refused() {
        let read = |setting: &str, value: u64| {
            let issuer = json!({
                "url": "https://sso.example", "audiences": ["acme"], "type": "kubernetes",
                setting: value
            });
            serde_json::from_value::<IssuerConfig>(issuer).map(|_| ())
        };
        for (setting, value) in
            [("clock_skew_s", 3601), ("max_lifetime_s", 0), ("max_age_s", 0), ("max_age_s", 86_401)]
        {
            let refused = read(setting, value).unwrap_err().to_string();
            assert!(refused.contains(&format!("`{setting}` cannot be `{value}`")), "{refused}");
        }
        for (setting, value) in [("clock_skew_s", 0), ("clock_skew_s", 3600), ("max_age_s", 86_400)]
        {
            read(setting, value).unwrap();
        }
    }
}
