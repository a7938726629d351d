ALTER TABLE "fleets" ADD COLUMN "head_lost_at_generation" bigint;
--> statement-breakpoint
-- The API may say this one thing about a fleet, and nothing else: the head that was recorded last is lost. The word is about that
-- generation, so that it does not wait for the loss of a later one.
CREATE FUNCTION say_head_lost(fleet text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
  UPDATE fleets SET head_lost_at_generation = generation WHERE id = fleet;
  PERFORM pg_notify('berth_writer', '');
END
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION say_head_lost(text) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION say_head_lost(text) TO berth_api;
