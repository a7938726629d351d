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
--> statement-breakpoint
-- Answers hold a subscription's data: they are seen where they were given only.
ALTER TABLE "idempotency_keys" DROP CONSTRAINT "idempotency_keys_user_id_key_pk";--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD COLUMN "subscription_id" uuid;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "one_use_of_a_key" UNIQUE NULLS NOT DISTINCT("user_id","key","subscription_id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
ALTER TABLE "idempotency_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE POLICY "own_answers" ON "idempotency_keys" AS PERMISSIVE FOR ALL TO "berth_api" USING (subscription_id is null or subscription_id = nullif(current_setting('app.subscription_id', true), '')::uuid) WITH CHECK (subscription_id is null or subscription_id = nullif(current_setting('app.subscription_id', true), '')::uuid);
--> statement-breakpoint
-- Whoever comes next forgets what is a day old, whosever it is: a subscription that is left keeps nothing here.
CREATE FUNCTION forget_idempotency_keys() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '1 day' LIMIT 1000 FOR UPDATE SKIP LOCKED
  ))
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION forget_idempotency_keys() FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION forget_idempotency_keys() TO berth_api;
REVOKE DELETE ON idempotency_keys FROM berth_api;
