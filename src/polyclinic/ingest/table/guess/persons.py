"""Names of columns that identify people: their names, addresses, and numbers of insurance, in several languages."""

import re

from polyclinic.ingest.table.column_profile import folded, matches, without_accents

_WORDS = (
    # A word for a name as such; `name` alone may also be what a long table measured.
    "name names namen nom noms nombre nombres nome nomi nomes naam navn namn nimi imię imie jméno jmeno név",
    # Words for names of people.
    """
    vorname vornamen nachname nachnamen rufname zuname familienname geburtsname patientenname patientinname patientname
    arztname surname forename firstname lastname givenname middlename maidenname fullname familyname nickname
    prénom prénoms prenom prenoms apellido apellidos cognome sobrenome apelido voornaam achternaam familienaam
    patiëntnaam patientnaam patiëntennaam initials initialen initiales iniciales iniziali iniciais voorletters
    fornavn efternavn etternavn förnamn efternamn nazwisko příjmení
    """,
    # Persons who may have a name.
    """
    patient patients patientin patienten patiente paciente pacientes paziente pazienti patiënt pat pt client klient
    resident subject person persona personne pessoa persoon member participant proband versicherter versicherten
    nurse therapist operator attending consultant gp dr arztes doutor arts
    mother father parent spouse partner guardian kin relative child mutter vater mère père madre padre mãe pai
    contact emergency caregiver carer user author staff employee
    """,
    # Staff, whose column holds their names, or what stands for them, without saying so.
    """
    doctor physician clinician surgeon radiologist anaesthetist anesthesiologist arzt ärztin hausarzt hausärztin
    médecin medecin médico medico dottore huisarts
    """,
    # Words beside the others.
    """
    first last given family middle maiden full sur birth legal preferred previous old new next of the s d l
    de du des la le el del do da di della dello der des van het von complet complète completo completa volledige
    famille familia famiglia naissance nacimiento nascita usage responsable tratante traitant attending referring
    treating behandelnder primary
    """,
)
_BARE, _OF_PEOPLE, _PERSONS, _STAFF, _PARTS = (frozenset(without_accents(words).split()) for words in _WORDS)
_OTHERS = (
    "ssn", "(?:tele)?phone", r"t[eé]l[eé](?:ph|f)on[eo]?", "telefoonnummer", "handy", "mobile", "e?mail", "fax",
    r"(?:home_?)?address", "adresse", "anschrift", r"direcci[oó]n", "indirizzo", r"endere[cç]o", "adres", "street",
    "stra(?:ss|ß)e", "calle", r"(?:numero_)?dni", "nif", "cpf", r"codice_?fiscale", "bsn",
    "(?:kranken)?versicherten(?:nummer|nr)", "(?:sozial|kranken)versicherungs(?:nummer|nr)",
    r"num(?:ero)?_?(?:secu|securite_?sociale)",
)  # fmt: skip


def words_of(name: str) -> list[str]:
    """Return the words of a column's name, in small letters without accents.

    >>> words_of("PatientName"), words_of("Nom_du patient 2"), words_of("prénom")
    (['patient', 'name'], ['nom', 'du', 'patient'], ['prenom'])
    """
    return re.findall(r"[^\W\d_]+", folded(name))


def is_bare_name(name: str) -> bool:
    """Return whether a column is called name and nothing else: of people, or of what a long table measured."""
    words = words_of(name)
    return len(words) == 1 and words[0] in _BARE


def is_of_a_person(name: str) -> bool:
    """Return whether a column's name says that it identifies people: names, addresses, numbers of insurance.

    >>> [is_of_a_person(name) for name in ("Name", "nom du patient", "Prénom", "drug_name", "nominal")]
    [True, True, True, False, False]
    """
    words = words_of(name)
    named = any(word in _BARE | _OF_PEOPLE for word in words)
    if named and all(word in _BARE | _OF_PEOPLE | _PERSONS | _STAFF | _PARTS for word in words):
        return True
    known = [word for word in words if word not in _PARTS]
    return matches(name, *_OTHERS) or (len(known) == 1 and known[0] in _STAFF) or bool(_OF_PEOPLE & set(words))
