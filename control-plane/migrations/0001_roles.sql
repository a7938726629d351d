-- Nobody reaches anything that is not granted here.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO berth_api;
--> statement-breakpoint
GRANT SELECT, INSERT ON users TO berth_api;
GRANT SELECT, INSERT, DELETE ON sessions TO berth_api;
GRANT SELECT, INSERT ON grants TO berth_api;
GRANT SELECT, INSERT ON subscriptions TO berth_api;
GRANT SELECT, INSERT ON accounts TO berth_api;
GRANT SELECT, INSERT ON applications TO berth_api;
GRANT SELECT, INSERT, UPDATE ON uploads TO berth_api;
GRANT SELECT ON versions TO berth_api;
GRANT SELECT, INSERT ON builds TO berth_api;
GRANT SELECT, INSERT ON sites TO berth_api;
GRANT SELECT, INSERT ON host_names TO berth_api;
GRANT SELECT, INSERT, UPDATE ON deployments TO berth_api;
GRANT SELECT, INSERT, UPDATE ON schedule_items TO berth_api;
GRANT SELECT, INSERT ON releases TO berth_api;
GRANT SELECT, INSERT, UPDATE ON operations TO berth_api;
GRANT SELECT ON fleets TO berth_api;
GRANT SELECT ON servers TO berth_api;
GRANT SELECT, INSERT ON audit_entries TO berth_api;
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO berth_api;
GRANT USAGE ON SEQUENCE audit_entries_id_seq TO berth_api;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO berth_sealer;
--> statement-breakpoint
GRANT SELECT, UPDATE ON subscriptions TO berth_sealer;
GRANT SELECT, UPDATE ON applications TO berth_sealer;
GRANT SELECT, UPDATE ON uploads TO berth_sealer;
GRANT SELECT, INSERT ON versions TO berth_sealer;
GRANT SELECT, INSERT ON version_packs TO berth_sealer;
GRANT SELECT ON builds TO berth_sealer;
GRANT SELECT ON sites TO berth_sealer;
GRANT SELECT ON host_names TO berth_sealer;
GRANT SELECT, UPDATE ON deployments TO berth_sealer;
GRANT SELECT, INSERT, UPDATE ON schedule_items TO berth_sealer;
GRANT SELECT, INSERT, UPDATE ON releases TO berth_sealer;
GRANT SELECT, INSERT, UPDATE ON operations TO berth_sealer;
GRANT SELECT ON fleets TO berth_sealer;
GRANT SELECT, INSERT, UPDATE, DELETE ON fleet_packs TO berth_sealer;
GRANT INSERT ON audit_entries TO berth_sealer;
GRANT USAGE ON SEQUENCE audit_entries_id_seq TO berth_sealer;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO berth_writer;
--> statement-breakpoint
GRANT SELECT ON subscriptions TO berth_writer;
GRANT SELECT ON applications TO berth_writer;
GRANT SELECT ON versions TO berth_writer;
GRANT SELECT ON builds TO berth_writer;
GRANT SELECT, UPDATE ON sites TO berth_writer;
GRANT SELECT ON host_names TO berth_writer;
GRANT SELECT, UPDATE ON deployments TO berth_writer;
GRANT SELECT, INSERT, UPDATE ON schedule_items TO berth_writer;
GRANT SELECT, INSERT, UPDATE ON releases TO berth_writer;
GRANT SELECT, INSERT, UPDATE ON operations TO berth_writer;
GRANT SELECT, UPDATE ON fleets TO berth_writer;
GRANT SELECT ON servers TO berth_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON observed_servers TO berth_writer;
GRANT SELECT ON fleet_packs TO berth_writer;
GRANT INSERT ON audit_entries TO berth_writer;
GRANT USAGE ON SEQUENCE audit_entries_id_seq TO berth_writer;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO berth_provisioner;
--> statement-breakpoint
GRANT SELECT ON subscriptions TO berth_provisioner;
GRANT SELECT, UPDATE ON sites TO berth_provisioner;
GRANT SELECT ON host_names TO berth_provisioner;
GRANT SELECT, INSERT, UPDATE, DELETE ON fleets TO berth_provisioner;
GRANT SELECT, INSERT, UPDATE, DELETE ON servers TO berth_provisioner;
GRANT INSERT ON audit_entries TO berth_provisioner;
GRANT USAGE ON SEQUENCE audit_entries_id_seq TO berth_provisioner;
--> statement-breakpoint
-- sealer: across subscriptions, on these tables and for these commands only.
CREATE POLICY sealer_select ON subscriptions FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_update ON subscriptions FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON applications FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_update ON applications FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON uploads FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_update ON uploads FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON versions FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_insert ON versions FOR INSERT TO berth_sealer WITH CHECK (true);
CREATE POLICY sealer_select ON version_packs FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_insert ON version_packs FOR INSERT TO berth_sealer WITH CHECK (true);
CREATE POLICY sealer_select ON sites FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_select ON host_names FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_select ON deployments FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_update ON deployments FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON schedule_items FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_insert ON schedule_items FOR INSERT TO berth_sealer WITH CHECK (true);
CREATE POLICY sealer_update ON schedule_items FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON releases FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_insert ON releases FOR INSERT TO berth_sealer WITH CHECK (true);
CREATE POLICY sealer_update ON releases FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_select ON operations FOR SELECT TO berth_sealer USING (true);
CREATE POLICY sealer_insert ON operations FOR INSERT TO berth_sealer WITH CHECK (true);
CREATE POLICY sealer_update ON operations FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
CREATE POLICY sealer_insert ON audit_entries FOR INSERT TO berth_sealer WITH CHECK (true);
--> statement-breakpoint
-- writer: across subscriptions, on these tables and for these commands only.
CREATE POLICY writer_select ON subscriptions FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_select ON applications FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_select ON versions FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_select ON sites FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_update ON sites FOR UPDATE TO berth_writer USING (true) WITH CHECK (true);
CREATE POLICY writer_select ON host_names FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_select ON deployments FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_update ON deployments FOR UPDATE TO berth_writer USING (true) WITH CHECK (true);
CREATE POLICY writer_select ON schedule_items FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_insert ON schedule_items FOR INSERT TO berth_writer WITH CHECK (true);
CREATE POLICY writer_update ON schedule_items FOR UPDATE TO berth_writer USING (true) WITH CHECK (true);
CREATE POLICY writer_select ON releases FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_insert ON releases FOR INSERT TO berth_writer WITH CHECK (true);
CREATE POLICY writer_update ON releases FOR UPDATE TO berth_writer USING (true) WITH CHECK (true);
CREATE POLICY writer_select ON operations FOR SELECT TO berth_writer USING (true);
CREATE POLICY writer_insert ON operations FOR INSERT TO berth_writer WITH CHECK (true);
CREATE POLICY writer_update ON operations FOR UPDATE TO berth_writer USING (true) WITH CHECK (true);
CREATE POLICY writer_insert ON audit_entries FOR INSERT TO berth_writer WITH CHECK (true);
--> statement-breakpoint
-- provisioner: across subscriptions, on these tables and for these commands only.
CREATE POLICY provisioner_select ON subscriptions FOR SELECT TO berth_provisioner USING (true);
CREATE POLICY provisioner_select ON sites FOR SELECT TO berth_provisioner USING (true);
CREATE POLICY provisioner_update ON sites FOR UPDATE TO berth_provisioner USING (true) WITH CHECK (true);
CREATE POLICY provisioner_select ON host_names FOR SELECT TO berth_provisioner USING (true);
CREATE POLICY provisioner_insert ON audit_entries FOR INSERT TO berth_provisioner WITH CHECK (true);
--> statement-breakpoint
-- Which subscriptions a person may enter: asked before one is chosen, so it cannot be read under the policy.
CREATE FUNCTION user_subscriptions(of_user uuid)
RETURNS TABLE (id uuid, name text, status text, primary_contact_id uuid, created_at timestamptz, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT s.id, s.name, s.status, s.primary_contact_id, s.created_at, g.role
  FROM grants g JOIN subscriptions s ON s.id = g.subscription_id
  WHERE g.user_id = of_user
  ORDER BY s.created_at, s.id
$$;
--> statement-breakpoint
-- The operators' list: what a subscription is called, nothing that is in it.
CREATE FUNCTION platform_subscriptions()
RETURNS TABLE (id uuid, name text, status text, primary_contact_id uuid, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT s.id, s.name, s.status, s.primary_contact_id, s.created_at FROM subscriptions s ORDER BY s.created_at, s.id
$$;
--> statement-breakpoint
-- What the servers of a deployment's fleet say of this one deployment. Reports hold every subscription's deployments, so the
-- API may not read them; another subscription's deployment has no servers here.
CREATE FUNCTION observed_deployments(of_deployment uuid)
RETURNS TABLE (server text, zone text, state text, observed jsonb, reported_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT m.server, m.zone, m.state,
    (SELECT item FROM jsonb_array_elements(o.report -> 'deployments') item WHERE item ->> 'deployment' = of_deployment::text LIMIT 1),
    o.reported_at
  FROM deployments d
  JOIN sites s ON s.id = d.site_id
  JOIN servers m ON m.fleet_id = s.fleet_id
  LEFT JOIN observed_servers o ON o.fleet_id = m.fleet_id AND o.server = m.server
  WHERE d.id = of_deployment AND d.subscription_id = current_setting('app.subscription_id')::uuid
  ORDER BY m.server
$$;
--> statement-breakpoint
-- For operators: how a fleet's servers are, without anything of a subscription.
CREATE FUNCTION fleet_reports(of_fleet text)
RETURNS TABLE (server text, ready boolean, generation bigint, reported_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$
  SELECT o.server, (o.report ->> 'ready')::boolean, (o.report ->> 'generation')::bigint, o.reported_at
  FROM observed_servers o WHERE o.fleet_id = of_fleet ORDER BY o.server
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION user_subscriptions(uuid), platform_subscriptions(), observed_deployments(uuid), fleet_reports(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION user_subscriptions(uuid), platform_subscriptions(), observed_deployments(uuid), fleet_reports(text) TO berth_api;
