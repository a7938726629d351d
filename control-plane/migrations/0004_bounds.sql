ALTER TABLE "uploads" ADD COLUMN "presigned" jsonb DEFAULT '{}'::jsonb NOT NULL;
--> statement-breakpoint
-- No service may make a person, least of all an operator: the first start does, as the owner of the tables.
REVOKE INSERT ON users FROM berth_api;
--> statement-breakpoint
-- Of these rows the sealer sets one column each.
REVOKE UPDATE ON subscriptions, applications, sites FROM berth_sealer;
GRANT UPDATE (keys_made_at) ON subscriptions TO berth_sealer;
GRANT UPDATE (last_version) ON applications TO berth_sealer;
GRANT UPDATE (fleet_id) ON sites TO berth_sealer;
REVOKE UPDATE, DELETE ON fleet_packs FROM berth_sealer;
--> statement-breakpoint
REVOKE SELECT ON subscriptions, applications, versions, builds, fleet_packs FROM berth_writer;
REVOKE INSERT ON schedule_items FROM berth_writer;
DROP POLICY writer_select ON subscriptions;
DROP POLICY writer_select ON applications;
DROP POLICY writer_select ON versions;
DROP POLICY writer_insert ON schedule_items;
--> statement-breakpoint
REVOKE SELECT ON subscriptions FROM berth_provisioner;
REVOKE DELETE ON fleets FROM berth_provisioner;
DROP POLICY provisioner_select ON subscriptions;
