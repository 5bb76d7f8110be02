"""Lists of words from which names, addresses, phrases and the values of business forms are put together. Data only."""

from __future__ import annotations


def listed(text: str, between: str = ";") -> list[str]:
    """The parts of a text that may run over several lines."""
    return [part.strip() for part in text.replace("\n", " ").split(between)]


ONSETS = listed("""b br c ch cl d dr f fl g gr h j k kl l m n p pr qu r s sh sl st t th tr v w y z""", " ")
VOWELS = listed("""a a a e e i i o o u ai ea ee ia oo ou""", " ")
FIRST = listed(
    """Anna Ben Carla David Elena Felix Grace Hassan Ingrid Jun Katrin Luis Mei Nadia Omar Priya Quentin Rosa Siti
Tomasz Uma Viktor Wei Xavier Yuki Zahra James Mary Robert Linda William Susan Ahmad Nurul Kumar Lakshmi Hiroshi
Sakura Pierre Amelie Giulia Marco Sven Astrid Olga Ivan Fatima Ali Chen Ling Tan Wong Maria Jose Paulo Beatriz
Kwame Ama Sean Aoife Jan Pieter Sofie Lars Mette Mikko Aino John Michael Patricia Charles Barbara Donald Nancy
George Helen""",
    " ",
)
LAST = listed(
    """Smith Johnson Tan Lim Wong Lee Abdullah Rahman Kumar Singh Patel Muller Schmidt Weber Dubois Moreau Rossi
Bianchi Garcia Lopez Silva Santos Costa Nakamura Tanaka Sato Kim Park Nguyen Tran Ivanov Petrov Kowalski Nowak
Jansen Vries Andersen Nilsson Virtanen O'Brien Murphy Campbell Stewart Baker Turner Cooper Hughes Ward Reed
Brooks Hayes Foster Okafor Mensah Diallo Haddad Khan Hussain Yilmaz Demir Cohen Levy Novak Horvath Popescu
Papadopoulos""",
    " ",
)
TRADE = listed(
    """Trading Hardware Bakery Restaurant Electronics Stationery Furniture Books Pharmacy Motors Textiles Foods
Logistics Engineering Consulting Media Printing Optical Florist Supermarket Cafe Tools Plastics Chemicals
Tobacco Research Marketing Insurance Travel Construction Software Medical Dental Garden Music Sports Fashion
Jewellery Lighting Paints""",
    " ",
)
MONTHS = listed("""January February March April May June July August September October November December""", " ")
WORDS = listed(
    """the of and to in for with on at by from this that all new report study sample market results during period
product project program data test changes review plan test group meeting brand section field order service
quality material request further information please note attached copy following regarding current final draft
schedule budget price delivery customer research analysis production process method total number annual next
last week month year complete required available""",
    " ",
)
CODAS = [*listed("""n r l s t m nd rt ck x ng st th ll ss""", " "), *[""] * 8]
ITEMS = listed("""PAPER A4 80GSM; BALL PEN BLUE; USB CABLE 2M; COFFEE LATTE; FRIED RICE; LED BULB 9W; HAMMER 16OZ; WHITE BREAD;
MILK 1L; T-SHIRT L; NOTEBOOK RULED; CHICKEN CHOP; GREEN TEA; PRINTER INK BLACK; STEEL SCREWS M6; GARDEN HOSE
15M; DESK LAMP; APPLE JUICE; SHAMPOO 250ML; SOAP BAR; PAINT BRUSH 2IN; EXTENSION CORD; MINERAL WATER; CHEESE
BURGER; NOODLE SOUP; ICE LEMON TEA; BATTERY AA 4S; TOOTHPASTE; WALL CLOCK; FILE FOLDER; OFFICE CHAIR; KEYBOARD;
MOUSE PAD; TOWEL LARGE; OLIVE OIL 500ML; RUBBER GLOVES; SCISSORS; GLUE STICK; MASKING TAPE; PHOTO FRAME;
Consulting hours; Website hosting; Site inspection; Freight charges; Translation; Annual licence; Spare filter;
Installation; Training day; Maintenance""")
CITIES = {
    "MY": "JOHOR BAHRU,JOHOR;KUALA LUMPUR,;PETALING JAYA,SELANGOR;SHAH ALAM,SELANGOR;IPOH,PERAK;GEORGE TOWN,PULAU PINANG;SEREMBAN,NEGERI SEMBILAN;KLANG,SELANGOR;MELAKA,;KUANTAN,PAHANG;BATU CAVES,SELANGOR;PUCHONG,SELANGOR",
    "US": "Springfield,IL;Austin,TX;Portland,OR;New York,NY;Richmond,VA;Louisville,KY;Winston-Salem,NC;Denver,CO;Tampa,FL;Boston,MA;Fresno,CA;Omaha,NE;Toledo,OH;Newark,NJ",
    "UK": "London,;Leeds,;Bristol,;Glasgow,;Cardiff,;York,;Norwich,;Exeter,;Reading,;Derby,",
    "DE": "Berlin,;Hamburg,;Köln,;Leipzig,;Kassel,;Bremen,;Ulm,;Mainz,;Freiburg,",
    "FR": "Paris,;Lyon,;Lille,;Nantes,;Rennes,;Dijon,;Tours,;Nice,",
    "IN": "Mumbai,Maharashtra;Pune,Maharashtra;Chennai,Tamil Nadu;Kochi,Kerala;Jaipur,Rajasthan;Kolkata,West Bengal",
    "SG": "Singapore,",
    "BR": "São Paulo,SP;Recife,PE;Curitiba,PR;Salvador,BA;Campinas,SP",
}
STATES = listed("""Alabama; Arizona; Colorado; Delaware; Idaho; Iowa; Kansas; Maine; Montana; Nevada; New Mexico; Ohio; Oregon;
South Dakota; Tennessee; Utah; Vermont; Wisconsin; TX; NY; CA; IL; PA; GA; N.C.; Va.; Fla.; Mass.""")
NATIONS = listed("""USA; U.S.A.; Canada; Brazil; Korea; Japan; Germany; France; Kenya; Chile; Norway; Malaysia; British; Dutch;
Spain; Mexico; Egypt; Poland""")
DEPARTMENTS = listed("""Marketing; Research; R & D; Purchasing; Accounting; Legal; Sales; Quality Assurance; Product Development; Media
Planning; Personnel; Engineering; Traffic; Public Affairs; Organic Chemistry; Analytical; Toxicology; Consumer
Affairs; Packaging; Field Sales; Trade Relations; Data Processing; Graphics; Library; Corporate Planning; Leaf
Services; Export""")
ROLES = listed("""Manager; Vice President; Bookkeeper; Chemist; Engineer; Director; Secretary; Brand Manager; Asst. Manager;
Technician; Editor; Counsel; Teacher; Nurse; Sales Rep.; Group Leader; Treasurer; Buyer""")
CHEM_A = listed("""Methyl; Ethyl; Diethyl; Propyl; Butyl; Benzyl; Phenyl; Acetyl; 2-Amino; 3,5-Dichloro; 4-Hydroxy; N-Nitro;
1,4-Dimethyl; Sodium; Calcium; Potassium; Isoamyl; Hexyl; beta-""")
CHEM_B = listed("""acetate; propionate; pyridine; benzoate; furanone; carbonate; citrate; lactone; pyrazine; phenol; indole;
chloride; butyrate; oxalate; succinate; anthracene; vanillate; glycol; sorbate""")
MATERIALS = listed("""Paper; Foil; Cork; Walnut; Cellulose acetate; Soft pack; Hinge lid box; Cardboard; Vinyl; Wood; Plastic; Rayon;
Polyester; Hot melt; Starch; Standard; Special; Display; Counter unit; Floor stand; Single; Double; King size;
Regular; Menthol; Non-filter; Embossed; Laminate; Cotton; Steel""")
LOOKS = listed("""White; white; Blue; Clear; Red and gold; Dark brown; Yellow solid; Colorless liquid; 4/C; 2 color; B/W; P4C;
Green; Off-white powder; Amber; Gloss; Matte; Black; Silver""")
UNITS = listed("""mm; mg; g; kg; ml; %; cc; in.; ft.; lbs.; gm; oz.; sec.; rpm; ppm; mg/cig; g/100; inches; ctns.; cases; days;
hrs.; psi; M; units; ug/ml; cm; degrees C""")
SHORT = listed("""None; N/A; NA; X; -0-; 0; --; Same; Yes; No; Unknown; As above; Open; Attached; See below; TBA; None known;
Various; same; none; OK; Not available; Per memo; UPS; Truck; Mail; Best way; Ea.; Case; English; Already sent""")
REMARKS = listed("""{coined} {noun} was {done} by {n} of the {people} during {month}.; The {noun} will be {done} before {month}
{d}.; {n} more {noun}s than planned, since the {noun2} was {done} late.; Most {people} want a smaller {noun};
the {noun2} sold well in {city}.; To {verb} the {noun} of {brand} and {brand} in {city}.; No {noun} problems
were found at {n} stores.; Please {verb} this {noun} and return it to {person}.; Pays for {n} days of {noun}
work and one {noun2} in {city}.; {level} stock of {noun}s in {city}; more {noun2} is needed.; Stored at {n}
degrees; see {noun} in notebook {code}.; {verb} {noun} with {n} ml of solvent under vacuum.; Adjustment to
{noun} per {person}, {month} {d}.; Good.; Not {done} yet.; {brand} {noun} at {n}% of {people}.; Extra {noun}
needed for {city} and {city}.; Poor {noun}, {done} late; {n} {noun}s {done}, {n} rejected""")
NOUN = listed("""display; sample; coupon; budget; filter; carton; survey; report; offer; label; shipment; price; program; panel;
test; draft; package; request; blend; contract; study; machine; volume; order; schedule""")
DONE = listed("""approved; received; tested; shipped; placed; accepted; reported; completed; cancelled; returned; revised;
delivered""")
PEOPLE = listed(
    """retailers; consumers; managers; accounts; reps; members; panelists; wholesalers; employees; shoppers; drivers"""
)
VERB = listed("""Review; Test; Compare; Measure; Evaluate; Increase; Ship; Determine; Support; Prepare; Introduce; Replace;
Reduce""")
PROMOS = listed("""Spring; Summer; Winter; Holiday; Back to School; Buy 2 Get 1; Free Lighter; Special; National; Instant; Big;
Gold; Blue; Night; Weekend; Sports; Fresh; Classic; Harvest; Grand""")
PROMO_ENDS = listed("""Offer; Sale; Promotion; Sweepstakes; Festival; Program; Tour; Coupon; Days; Sampling; Display; Sky; Games; Value
Pack; Rebate; Launch; Conference; Series; Race""")
MEDIA = listed("""Weekly; Daily News; Post; Monthly; Magazine; Tribune; Herald; Review; Today; World; Journal; Digest; Times;
Ledger; Outdoor; Radio; Newspapers; Sunday Supplement; Direct Mail; 30-sheet posters""")
