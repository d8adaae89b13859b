//! Scripts in which pgbench does what the API does.

use freehold_model::Sql;

use super::Yardstick;

impl Yardstick {
    /// A script for pgbench: the statement a read runs, with its `where tenant_id = …` by hand and one of these
    /// ids at random in the place of the first.
    #[must_use]
    pub fn pgbench_script(&self, sql: &Sql, ids: &[String]) -> String {
        let tenant = self.tenant.id();
        let all = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        let mut text =
            sql.text().replacen(" where ", &format!(" where t0.tenant_id = '{tenant}' and "), 1);
        // From the last on, so that $1 is not found in $10.
        for (at, param) in sql.params().iter().enumerate().rev() {
            let value = match param {
                Some(param) if ids.first() == Some(param) => format!("(array[{all}]::uuid[])[:n]"),
                Some(param) => format!("'{}'", param.replace('\'', "''")),
                None => "null".to_owned(),
            };
            text = text.replace(&format!("${}", at + 1), &value);
        }
        format!("\\set n random(1, {})\n{text};\n", ids.len())
    }

    /// A script for pgbench: one row into the plain table, and its id back.
    #[must_use]
    pub fn pgbench_insert(&self) -> String {
        format!(
            "\\set n random(1, 1000000)\ninsert into public.item (tenant_id, label, amount) \
             values ('{}', 'a label', :n) returning id;\n",
            self.tenant.id()
        )
    }
}
