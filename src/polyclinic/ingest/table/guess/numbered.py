"""Words for what is numbered, such as rooms and orders: a column of their numbers identifies, and measures nothing."""

import re

from polyclinic.ingest.table.column_profile import without_accents
from polyclinic.ingest.table.guess.persons import words_of

#: What has a number or a name of its own, in the singular: the plural is counted (`samples_no`).
NUMBERED = frozenset(
    without_accents(
        """
    patient pat pt person subject participant proband member client donor recipient user staff employee nurse
    doctor physician surgeon provider operator reader rater observer interviewer arzt betriebsstätten betriebs
    medico médecin family household pedigree father mother twin pair case record chart file folder account acct
    invoice bill claim policy insurance license licence passport card ticket id uid uhid aadhaar pan voter dni
    nif tax vat emp sr sl opd ipd op ip er ed cr lab labor laboratory pathology path histology biopsy autopsy
    xray ct mri ecg ekg eeg echo order request requisition accession transaction payment receipt queue form page
    question questionnaire item entry report document doc note line row seq sequence index serial key hash
    reference ref registration registry reg enrollment enrolment enrol identification identity ident security
    social ssn national nhs medical health hosp hospital mrn random randomization randomisation screening
    allocation sample specimen tube barcode vial aliquot batch lot plate well rack box slide block kit assay run
    probe röhrchen plan protocol trial study project center centre site clinic department dept ward room bed
    floor building zone region district area city zip postal post street house home office phone telephone tel
    mobile cell fax contact emergency device machine scanner model version image picture film slice frame series
    instance scan exam examination visit encounter admission hadm episode event appointment session stage group
    arm cohort cluster class category type kind code drg icd atc cas ndc unit team shift tooth chromosome gene
    locus snp strain isolate variant fall auftrag zimmer bett station haus telefon handy konto rechnung
    versicherung versicherten kassen kasse akte akten charge gerät geräte serien serie zeile lauf lfd laufende
    kranken aufnahme besuch visite studien studie zentrum gruppe gruppen kennung personal ausweis steuer bestell
    artikel eintrag dokument befund bild untersuchung dossier chambre lit séjour service échantillon prélèvement
    compte facture téléphone sécu sécurité sociale ordre ligne examen carte expediente historia habitación cama
    muestra cuenta factura teléfono seguro afiliado orden línea lote visita caso cartella stanza letto campione
    conto fattura telefono tessera ordine riga lotto ricovero kamer monster rekening telefoon polis regel bezoek
    prontuário quarto leito amostra conta fatura telefone ordem linha
    """
    ).split()
)
_SIGN = re.compile(r"\s*(?:n[°º]|№|núm\.?|n[uú]mero|numéro|nro(?![^\W\d_])\.?)[\W_]*(?P<of>.+)", re.IGNORECASE)


_COMPOUND = re.compile(r"(?P<of>\w+?)(?P<joint>s|n|en)?(?:nummer|nr)")


def is_number_of_a_thing(name: str) -> bool:
    """Return whether a column's name is a sign or word for a number joined to a thing that is numbered.

    >>> [is_number_of_a_thing(name) for name in ("N° dossier", "Zimmernummer", "nº hijos", "number of nodes")]
    [True, True, False, False]
    """
    sign, words = _SIGN.fullmatch(name), words_of(name)
    if sign is not None and not NUMBERED.isdisjoint(words_of(sign["of"])):
        return True
    joined = _COMPOUND.fullmatch(words[-1]) if words else None
    return joined is not None and not NUMBERED.isdisjoint({joined["of"], joined["of"] + (joined["joint"] or "")})
