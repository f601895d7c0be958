//! `[tenant.<name>]`: who the services are for.

use super::section::Section;

/// A tenant, as its table has it.
pub(super) struct TenantTable<'p> {
    pub(super) name: String,
    pub(super) organization: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) audience: Option<String>,
    pub(super) section: Section<'p>,
}

/// All of them: one at least.
pub(super) struct Tenants<'p>(pub(super) Vec<TenantTable<'p>>);

impl<'p> Tenants<'p> {
    pub(super) fn read(file: &mut Section<'p>) -> Self {
        let tables: Vec<_> = file.named("tenant").into_iter().map(table).collect();
        if tables.is_empty() {
            file.wrong("tenant", "[tenant.<name>] is missing");
        }
        Self(tables)
    }

    /// The only one.
    pub(super) fn only(&self) -> Option<&TenantTable<'p>> {
        let Self(all) = self;
        if all.len() == 1 { all.first() } else { None }
    }

    /// The one of that name.
    pub(super) fn named(&self, name: &str) -> Option<&TenantTable<'p>> {
        self.0.iter().find(|tenant| tenant.name == name)
    }

    /// Whose a service is: `None` for one of all tenants, where `shared` may be. What is wrong is noted.
    pub(super) fn owner(&self, section: &mut Section<'_>, shared: bool) -> Option<String> {
        let Some(name) = section.text("tenant") else {
            let several = self.0.len() > 1;
            if several && !shared && !section.was_given("tenant") {
                section.wrong("tenant", "is missing: there are several");
            }
            return self.only().map(|tenant| tenant.name.clone());
        };
        if self.named(&name).is_none() {
            section.wrong("tenant", format!("`{name}`: there is no [tenant.{name}]"));
        }
        Some(name)
    }
}

fn table(named: (String, Section<'_>)) -> TenantTable<'_> {
    let (name, mut section) = named;
    let organization = section.required_text("organization");
    let operator = section.text("operator");
    let hosts = section.texts("hosts");
    let audience = section.text("audience");
    section.end();
    TenantTable { name, organization, operator, hosts, audience, section }
}
