//! What whoever asks may reach: what their key is for, and what is open to those who have none. Of the latter PostgreSQL
//! refuses the rest itself; here it is refused first, in words.

use freehold_model::query::{Limits, Query};
use freehold_store::{Access, Role, Tenant};

use crate::{
    Engine, Snapshot,
    error::{Code, Error, Refusal},
};

impl Snapshot {
    /// Whether the tenant's caller may do this with a relation or function.
    #[must_use]
    pub fn permits(&self, tenant: &Tenant, name: &str, access: Access) -> bool {
        if tenant.role() == Role::Anonymous {
            return self.is_open(name, access);
        }
        tenant.scope().is_none_or(|scope| scope.holds(name, access))
    }

    fn is_open(&self, name: &str, access: Access) -> bool {
        match access {
            Access::Read => {
                self.model.relations().any(|relation| *relation.name == *name && relation.is_open())
            }
            Access::Write => false,
            Access::Call => {
                let functions = self.model.catalogue().functions();
                functions.iter().any(|function| function.name == name && function.anonymous)
            }
        }
    }

    /// Refuses what the caller may not do with a relation or function.
    ///
    /// # Errors
    /// `Forbidden`, whether there is one of this name or not.
    pub fn permit(&self, tenant: &Tenant, name: &str, access: Access) -> Result<(), Refusal> {
        if self.permits(tenant, name, access) {
            return Ok(());
        }
        if tenant.role() == Role::Anonymous {
            return Err(Refusal::new(Code::Forbidden, format!("{name} is not open to everybody"))
                .hint("send the header `Authorization: Bearer KEY`"));
        }
        let done = match access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Call => "call",
        };
        Err(Refusal::new(Code::Forbidden, format!("this key is not made to {done} {name}"))
            .hint("an admin of the tenant can make one that is"))
    }

    /// What is wrong with a query, as its caller may know it: of how relations hang together it tells those who see all.
    pub(crate) fn veiled(&self, tenant: &Tenant, refusal: Refusal) -> Refusal {
        let tells = matches!(refusal.code, Code::NoRelationship | Code::AmbiguousRelationship);
        match (tells, tenant.role(), tenant.scope()) {
            (true, Role::Anonymous, _) => {
                Refusal::new(Code::Forbidden, "what is embedded here is not open to everybody")
                    .hint("send the header `Authorization: Bearer KEY`")
            }
            (true, _, Some(_)) => {
                Refusal::new(Code::Forbidden, "this key is not made to read what is embedded here")
                    .hint("an admin of the tenant can make one that is")
            }
            _ => refusal,
        }
    }

    /// Refuses a query that reads beside its own relation what the caller may not.
    pub(crate) fn permit_embeds(&self, tenant: &Tenant, query: &Query) -> Result<(), Refusal> {
        let mut read = query.embedded().into_iter();
        read.try_for_each(|name| self.permit(tenant, name, Access::Read))
    }
}

impl Engine {
    /// What one request of the tenant's caller may ask for.
    #[must_use]
    pub fn limits_of(&self, tenant: &Tenant) -> Limits {
        let mut limits = self.limits;
        if let Some(rows) = tenant.bounds().rows {
            limits.rows_max = limits.rows_max.min(rows);
            limits.body_rows_max =
                limits.body_rows_max.min(usize::try_from(rows).unwrap_or(usize::MAX));
        }
        limits
    }

    /// The tenant whose open rows somebody without a key reads.
    ///
    /// # Errors
    /// `Unauthenticated` if there is no such tenant, `TenantSuspended`, or a fault.
    pub async fn anonymous(&self, tenant: &str) -> Result<Tenant, Error> {
        match self.store.tenant_known(tenant).await {
            Ok(tenant) => Ok(tenant.for_anybody()),
            Err(Error::Refused(refusal)) if refusal.code == Code::NoSuchTenant => {
                tracing::warn!(tenant, "[auth.anonymous] names a tenant that is not there");
                Err(Refusal::new(Code::Unauthenticated, "nothing is open to everybody here").into())
            }
            Err(error) => Err(error),
        }
    }
}
