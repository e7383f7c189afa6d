<?php
// A guest book for plain polling, as many were written: GET answers the entries
// behind number ?since= as JSON, POST adds one and redirects. It has a session,
// and knows nothing of who may be in front of it.

declare(strict_types=1);

const DATA = __DIR__ . '/../data';

function database(): PDO
{
    $database = new PDO('sqlite:' . DATA . '/entries.sqlite');
    $database->exec('CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)');
    return $database;
}

/** @return list<string> */
function entriesSince(int $since): array
{
    if (extension_loaded('pdo_sqlite')) {
        $query = database()->prepare('SELECT text FROM entries WHERE id > ? ORDER BY id');
        $query->execute([$since]);
        return $query->fetchAll(PDO::FETCH_COLUMN);
    }
    $file = fopen(DATA . '/entries.txt', 'c+');
    flock($file, LOCK_SH);
    $lines = array_filter(explode("\n", stream_get_contents($file)));
    fclose($file);
    return array_map('json_decode', array_slice($lines, $since));
}

function add(string $text): void
{
    if (extension_loaded('pdo_sqlite')) {
        database()->prepare('INSERT INTO entries (text) VALUES (?)')->execute([$text]);
        return;
    }
    $file = fopen(DATA . '/entries.txt', 'a');
    flock($file, LOCK_EX);
    fwrite($file, json_encode($text) . "\n");
    fclose($file);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/about') {
    echo 'a guest book';
    exit;
}

session_save_path(DATA);
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
header('X-Visits: ' . $_SESSION['visits']);

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    add($_POST['text']);
    header('Location: /', true, 303);
    exit;
}
header('Content-Type: application/json');
echo json_encode(entriesSince((int) ($_GET['since'] ?? 0)));
