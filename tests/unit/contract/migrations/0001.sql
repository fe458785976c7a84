COMMENT ON CONSTRAINT thing_code ON tiendo.thing IS '409 code_taken #/code';
COMMENT ON INDEX thing_span IS '422 spans_overlap #/span';
COMMENT ON CONSTRAINT thing_idle ON thing IS 'Says nothing to callers.';
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT fail(404, 'not_found') $$;
