-- The words of the lists name what organisations do, make and use. None of them opens a place for the public's persons, opinions, complaints or
-- accounts, nor for watching them: such a word is refused, whoever adds it.
SET search_path = tiendo, public;

CREATE FUNCTION campaign_term_within_limits(code text, name text, name_en text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT ' ' || regexp_replace(fold(concat_ws(' ', replace(code, '_', ' '), name, name_en)), '[^a-z0-9]+', ' ', 'g') || ' ' !~
    ' (du luan|khieu nai|to cao|don thu|phan anh cua (nguoi|nhan|cong) dan|y kien (nguoi|nhan|cong) dan|tam trang|tu tuong nhan dan|theo doi tai khoan|tai khoan ca nhan|binh luan|danh sach doi tuong|doi tuong chong doi|opinions?|sentiments?|complaints?|petitions?|denunciations?|watch ?lists?|comments?|personal accounts?|surveillance) ' $$;
ALTER TABLE campaign_term ADD CONSTRAINT campaign_term_limits CHECK (campaign_term_within_limits(code, name, name_en));
COMMENT ON CONSTRAINT campaign_term_limits ON campaign_term IS '422 outside_limits #/name';
GRANT EXECUTE ON FUNCTION campaign_term_within_limits(text, text, text) TO tiendo_service;
