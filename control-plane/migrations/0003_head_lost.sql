ALTER TABLE "fleets" ADD COLUMN "head_lost" boolean DEFAULT false NOT NULL;
--> statement-breakpoint
-- The API may say this one thing about a fleet, and nothing else.
CREATE FUNCTION say_head_lost(fleet text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  UPDATE fleets SET head_lost = true WHERE id = fleet;
  PERFORM pg_notify('berth_writer', '');
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION say_head_lost(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION say_head_lost(text) TO berth_api;
