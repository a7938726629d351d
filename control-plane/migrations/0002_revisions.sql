-- The sealer places sites; nobody else moves them.
GRANT UPDATE ON sites TO berth_sealer;
REVOKE UPDATE ON sites FROM berth_writer, berth_provisioner;
--> statement-breakpoint
CREATE POLICY sealer_update ON sites FOR UPDATE TO berth_sealer USING (true) WITH CHECK (true);
DROP POLICY writer_update ON sites;
DROP POLICY provisioner_update ON sites;
--> statement-breakpoint
-- A fleet's revision is raised, under its row's lock, by every transaction that changes what is rendered for it. Triggers do it,
-- so that no service can forget and none needs the right to write a fleet's row. Keep the columns in step with `desired/store.ts`.
CREATE FUNCTION raise_revision() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
  of_sites uuid[];
  of_fleets text[];
BEGIN
  CASE TG_TABLE_NAME
    WHEN 'sites' THEN
      of_fleets := ARRAY[OLD.fleet_id, NEW.fleet_id];
    WHEN 'host_names' THEN
      of_sites := ARRAY[OLD.site_id, NEW.site_id];
    WHEN 'deployments' THEN
      of_sites := ARRAY[OLD.site_id, NEW.site_id];
    WHEN 'operations' THEN
      of_sites := ARRAY(SELECT site_id FROM deployments WHERE id IN (OLD.deployment_id, NEW.deployment_id));
    WHEN 'releases' THEN
      of_sites := ARRAY(SELECT site_id FROM deployments WHERE NEW.id IN (live_release_id, warm_release_id));
  END CASE;
  IF of_sites IS NOT NULL THEN
    of_fleets := ARRAY(SELECT fleet_id FROM sites WHERE id = ANY (of_sites) AND fleet_id IS NOT NULL);
  END IF;
  UPDATE fleets SET revision = revision + 1 WHERE id = ANY (of_fleets);
  -- The writer knows what it changed itself.
  IF FOUND AND session_user <> 'berth_writer' THEN PERFORM pg_notify('berth_writer', ''); END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION raise_revision() FROM PUBLIC;
--> statement-breakpoint
CREATE TRIGGER raise_revision AFTER UPDATE ON sites FOR EACH ROW
  WHEN ((OLD.fleet_id, OLD.status) IS DISTINCT FROM (NEW.fleet_id, NEW.status))
  EXECUTE FUNCTION raise_revision();
--> statement-breakpoint
CREATE TRIGGER raise_revision_when_made AFTER INSERT ON sites FOR EACH ROW
  WHEN (NEW.fleet_id IS NOT NULL)
  EXECUTE FUNCTION raise_revision();
--> statement-breakpoint
CREATE TRIGGER raise_revision AFTER INSERT OR UPDATE OR DELETE ON host_names FOR EACH ROW EXECUTE FUNCTION raise_revision();
--> statement-breakpoint
CREATE TRIGGER raise_revision AFTER UPDATE ON deployments FOR EACH ROW
  WHEN (
    (OLD.site_id, OLD.path, OLD.status, OLD.keep_warm, OLD.live_release_id, OLD.warm_release_id, OLD.last_operation_id, OLD.attempt, OLD.baking)
    IS DISTINCT FROM
    (NEW.site_id, NEW.path, NEW.status, NEW.keep_warm, NEW.live_release_id, NEW.warm_release_id, NEW.last_operation_id, NEW.attempt, NEW.baking)
  )
  EXECUTE FUNCTION raise_revision();
--> statement-breakpoint
CREATE TRIGGER raise_revision AFTER UPDATE ON operations FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state AND (OLD.state = 'preparing' OR NEW.state = 'preparing'))
  EXECUTE FUNCTION raise_revision();
--> statement-breakpoint
-- A package made anew for a release that is shown; a new release's first package changes nothing yet.
CREATE TRIGGER raise_revision AFTER UPDATE ON releases FOR EACH ROW
  WHEN ((OLD.status, OLD.fleet_id, OLD.digest, OLD.package_digest, OLD.incarnation)
    IS DISTINCT FROM (NEW.status, NEW.fleet_id, NEW.digest, NEW.package_digest, NEW.incarnation))
  EXECUTE FUNCTION raise_revision();
