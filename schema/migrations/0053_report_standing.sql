-- Where reports stand: what is late, what was on time, which other duty's report stands for a period. Every list, matrix, rate, reminder
-- and task asks these functions, so that they cannot differ.
SET search_path = tiendo, public;

-- Late: the deadline has passed and no submission stands: nothing was sent yet, or the author took it back. What was sent and returned (or opened
-- again after approval) is open, not late: whether it came on time is the submission's to say. The deadline's own day is still in time; what has
-- no deadline is never late; what is waived or no longer owed is not either.
CREATE FUNCTION report_late(state text, due_on date) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT state IN ('expected', 'draft') AND coalesce(due_on < tiendo.today(), false) $$;

-- On time: the first submission the author did not take back was sent not later than the deadline's day, by the calendar of Asia/Ho_Chi_Minh and by
-- the deadline as it stands now (an extension counts). A return does not make it late. NULL: nothing submitted; without a deadline always.
CREATE FUNCTION report_on_time(first_submitted_at timestamptz, due_on date) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN first_submitted_at IS NOT NULL THEN coalesce((first_submitted_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date <= due_on, true) END $$;

GRANT EXECUTE ON FUNCTION report_late(text, date), report_on_time(timestamptz, date) TO tiendo_service;
